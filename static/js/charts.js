// Time series: draws every .chart[data-series] with uPlot from the JSON beside it. The table twin carries the same numbers,
// so a page without this script loses nothing but the picture: the twin comes open, and is closed once the picture is there.
(function () {
  "use strict";

  const HEIGHT_PX = 224;

  function colour(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }

  const TONES = ["--accent-fill", "--warn-fill", "--violet-fill", "--danger-fill", "--ok-fill"];

  function short(value) {
    if (value === null || value === undefined) return "";
    return new Intl.NumberFormat(document.documentElement.lang, { notation: "compact", maximumFractionDigits: 1 }).format(value);
  }

  function tooltip(data) {
    const box = document.createElement("div");
    box.className = "u-tooltip";
    box.hidden = true;
    const when = new Intl.DateTimeFormat(data.locale, { ...data.when, timeZone: data.zone });
    const full = new Intl.NumberFormat(document.documentElement.lang);
    return {
      hooks: {
        init: (plot) => plot.over.append(box),
        setCursor: (plot) => {
          const index = plot.cursor.idx;
          box.hidden = index === null || index === undefined || plot.cursor.left < 0;
          if (box.hidden) return;
          const lines = data.labels.map((label, row) => `${label}: ${full.format(data.values[row + 1][index] || 0)}`);
          const head = document.createElement("b");
          head.textContent = when.format(new Date(data.values[0][index] * 1000));
          box.replaceChildren(head, ...lines.flatMap((line) => [document.createTextNode(line), document.createElement("br")]));
          const right = plot.cursor.left > plot.over.clientWidth / 2;
          box.style.left = `${plot.cursor.left + (right ? -box.offsetWidth - 12 : 12)}px`;
          box.style.top = "8px";
        },
      },
    };
  }

  // Stacked columns: each series is drawn as the running sum, the highest first, so that the lower ones cover it
  function stack(values) {
    const sums = values.slice(1).map((row) => row.slice());
    for (let row = 1; row < sums.length; row += 1) {
      for (let at = 0; at < sums[row].length; at += 1) sums[row][at] += sums[row - 1][at];
    }
    return sums.reverse();
  }

  function draw(chart) {
    const data = JSON.parse(document.getElementById(chart.dataset.series).textContent);
    const canvas = chart.querySelector(".chart-canvas");
    const count = data.labels.length;
    const times = data.values[0];
    const step = times.length > 1 ? times[1] - times[0] : 86400;
    const tick = new Intl.DateTimeFormat(data.locale, { ...data.tick, timeZone: data.zone });
    const faint = colour("--text-faint");
    const grid = { stroke: colour("--border"), width: 1 };
    const bars = uPlot.paths.bars({ size: [0.72, 36], radius: count === 1 ? 0.12 : 0 });
    canvas.replaceChildren();
    const options = {
      width: canvas.clientWidth,
      height: HEIGHT_PX,
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      legend: { show: false },
      padding: [8, 4, 0, 0],
      scales: { x: { time: true, range: [times[0] - step / 2, times[times.length - 1] + step / 2] }, y: { range: (plot, low, high) => [0, Math.max(high * 1.1, 4)] } },
      axes: [
        { stroke: faint, grid: { show: false }, ticks: { show: false }, font: "11px Inter, system-ui", gap: 6, size: 28, splits: () => every(times, canvas.clientWidth), values: (plot, at) => at.map((time) => tick.format(new Date(time * 1000))) },
        { stroke: faint, grid, ticks: { show: false }, font: "11px Inter, system-ui", size: 44, gap: 4, values: (plot, at) => at.map(short) },
      ],
      series: [{}].concat(Array.from({ length: count }, (_, at) => {
        const row = count - 1 - at;
        const fill = colour(TONES[(data.tones || [])[row] ?? row % TONES.length]);
        return { fill, stroke: fill, width: 0, paths: bars, points: { show: false } };
      })),
      plugins: [tooltip(data)],
    };
    chart.plot = new uPlot(options, [times].concat(stack(data.values)), canvas);
    const twin = chart.querySelector(".chart-twin:not([data-drawn])");
    if (twin) { twin.open = false; twin.dataset.drawn = "1"; }
  }

  function every(times, width) {
    const step = Math.max(1, Math.ceil(times.length / Math.max(2, Math.floor(width / 80))));
    return times.filter((_, at) => at % step === 0);
  }

  function drawAll(root) {
    root.querySelectorAll(".chart[data-series]").forEach((chart) => {
      draw(chart);
      if (chart.watched) return;
      chart.watched = true;
      new ResizeObserver(() => {
        const width = chart.querySelector(".chart-canvas").clientWidth;
        if (chart.plot && width && Math.abs(width - chart.plot.width) > 1) chart.plot.setSize({ width, height: HEIGHT_PX });
      }).observe(chart);
    });
  }

  document.addEventListener("DOMContentLoaded", () => drawAll(document));
  document.addEventListener("portal:swapped", (event) => drawAll(event.detail.root));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(document));
})();
