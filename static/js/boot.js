// First script, loaded blocking in <head>: marks that JavaScript runs, so that CSS shows what needs it. Nothing else.
document.documentElement.classList.add("js");
