// Calls a gateway with npm's aliyun-api-gateway: reads {key, secret, calls: [{method, url, options}]} as JSON on standard
// input and writes the list of answers, or of errors with their code and headers, as JSON on standard output.
'use strict';

const { Client } = require('aliyun-api-gateway');

async function one(client, call) {
  try {
    return { ok: await client[call.method](call.url, call.options) };
  } catch (error) {
    return { code: error.code, message: error.message, headers: error.data && error.data.headers };
  }
}

async function main() {
  let text = '';
  for await (const piece of process.stdin) text += piece;
  const { key, secret, calls } = JSON.parse(text);
  const client = new Client(key, secret);
  const answers = [];
  for (const call of calls) answers.push(await one(client, call));
  process.stdout.write(JSON.stringify(answers));
}

main();
