(function () {
  "use strict";
  // A notebook may run this again for a report that is ready already.
  document.querySelectorAll(".pixelry-report:not([data-ready])").forEach(function (root) {
    root.setAttribute("data-ready", "");
    themes(root);
    root.querySelectorAll(".px-chooser").forEach(choose);
    root.querySelectorAll(".px-table table").forEach(sortable);
    contents(root);
  });

  function themes(root) {
    var button = root.querySelector(".px-theme"), names = ["auto", "light", "dark"];
    if (!button) return;
    function set(name) {
      root.setAttribute("data-theme", name);
      button.textContent = "Theme: " + name;
    }
    // Some browsers keep nothing for pages that are opened as files.
    try { set(localStorage.getItem("pixelry-theme") || "auto"); } catch (error) { set("auto"); }
    button.hidden = false;
    button.addEventListener("click", function () {
      var next = names[(names.indexOf(root.getAttribute("data-theme")) + 1) % names.length];
      set(next);
      try { localStorage.setItem("pixelry-theme", next); } catch (error) { /* it holds for this visit */ }
    });
  }

  function choose(chooser) {
    var data = JSON.parse(chooser.dataset.counts), input = chooser.querySelector("input");
    function share(part, whole) { return whole ? part / whole : null; }
    function text(value) { return value === null ? "–" : (100 * value).toFixed(1) + " %"; }
    function update() {
      var step = Number(input.value), tp = data["true"][step], fp = data["false"][step];
      var fn = data.positives - tp, tn = data.negatives - fp;
      var rates = {
        "precision": share(tp, tp + fp), "recall": share(tp, data.positives),
        "false positive rate": share(fp, data.negatives), "F1": share(2 * tp, tp + fp + data.positives),
        "accuracy": share(tp + tn, data.positives + data.negatives)
      };
      chooser.querySelector("output").textContent = (step / data.steps).toFixed(3);
      chooser.querySelectorAll("[data-rate]").forEach(function (cell) { cell.textContent = text(rates[cell.dataset.rate]); });
      var counts = { tp: tp, fp: fp, fn: fn, tn: tn };
      chooser.querySelectorAll("[data-count]").forEach(function (cell) { cell.textContent = counts[cell.dataset.count].toLocaleString("en"); });
      place("roc", rates["false positive rate"], rates["recall"]);
      place("pr", rates["recall"], rates["precision"]);
    }
    function place(name, x, y) {
      var mark = chooser.querySelector('[data-mark="' + name + '"]'), side = Number(mark.dataset.side);
      mark.setAttribute("visibility", x === null || y === null ? "hidden" : "visible");
      mark.setAttribute("cx", side * (x || 0));
      mark.setAttribute("cy", side * (1 - (y || 0)));
    }
    chooser.querySelector(".px-live").hidden = false;
    chooser.querySelector(".px-static").hidden = true;
    input.addEventListener("input", update);
    update();
  }

  function sortable(table) {
    var heads = table.querySelectorAll("thead th"), body = table.tBodies[0];
    if (!body || body.rows.length < 3) return;
    function value(row, column) {
      var cell = row.cells[column], raw = cell.dataset.value || cell.textContent.trim();
      var number = parseFloat(raw.replace(/,/g, ""));
      return /^[-+]?[\d.,]+/.test(raw) && !isNaN(number) ? number : raw.toLowerCase();
    }
    heads.forEach(function (head, column) {
      head.classList.add("px-sortable");
      head.addEventListener("click", function () {
        var sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        Array.from(body.rows).sort(function (one, other) {
          var a = value(one, column), b = value(other, column);
          if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
          return sign * (a < b ? -1 : a > b ? 1 : 0);
        }).forEach(function (row) { body.appendChild(row); });
      });
    });
  }

  function contents(root) {
    var list = root.querySelector(".px-contents details");
    if (!list || !window.IntersectionObserver) return;
    list.open = window.matchMedia("(min-width: 80rem)").matches;
    var seen = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        var link = list.querySelector('a[href="#' + entry.target.id + '"]');
        if (link) link.classList.toggle("px-here", entry.isIntersecting);
      });
    }, { rootMargin: "-10% 0px -70% 0px" });
    root.querySelectorAll("section[id]").forEach(function (section) { seen.observe(section); });
  }
})();
