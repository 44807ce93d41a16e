"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const plots = () => (report.charts ? Bokeh.documents.flatMap((one) => one.roots()) : []);

  // --- charts ------------------------------------------------------------------------------------

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const [ink, line] = ["--faint", "--line"].map((name) => style.getPropertyValue(name).trim());
    for (const plot of plots()) {
      for (const axis of [...plot.below, ...plot.left]) {
        axis.setv({
          axis_label_text_color: ink, axis_label_text_font_style: "normal",
          major_label_text_color: ink, axis_line_color: line,
          major_tick_line_color: line, minor_tick_line_color: null,
        });
      }
      for (const part of plot.center) {
        if ("grid_line_color" in part) part.grid_line_color = line;
      }
    }
  }

  // What draws the line of an element with its panel and name, the line itself first.
  function renderers({ panel, line }) {
    const elements = report.charts.items[0].roots;
    const plot = plots().find((one) => elements[one.id] === panel);
    return plot.renderers.filter((drawn) => drawn.name === line);
  }

  // The value of the latest row of the log at or before the step, or NaN.
  function valueAt(drawn, step) {
    const [steps, values] = ["x", "y"].map((axis) => drawn.data_source.get_column(drawn.glyph[axis].field));
    let found = NaN;
    for (let row = 0; row < steps.length && steps[row] <= step; row++) {
      if (!Number.isNaN(values[row])) found = values[row];
    }
    return found;
  }

  function tell(step) {
    for (const cell of document.querySelectorAll("td[data-line]")) {
      const value = step === null ? NaN : valueAt(renderers(cell.dataset)[0], step);
      cell.textContent = Number.isNaN(value) ? "–" : Number(value.toPrecision(4));
    }
  }

  // --- samples -----------------------------------------------------------------------------------

  const slider = document.getElementById("time");

  function words(clock, at) {
    if (clock === "step") return `step ${at}`;
    return at < 120 ? `${at.toFixed(1)} s` : `${(at / 60).toFixed(1)} min`;
  }

  function clock() {
    const chosen = document.querySelector('input[name="clock"]:checked');
    return chosen ? chosen.value : "step";
  }

  function show() {
    const stop = report.stops[clock()][Number(slider.value)];
    const text = words(clock(), stop.at);
    document.getElementById("at").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    stop.shown.forEach((grid, run) => {
      for (const figure of document.querySelectorAll(`figure[id^="grid-${run}-"]`)) {
        figure.hidden = figure.id !== `grid-${run}-${grid}`;
      }
    });
    for (const document_ of report.charts ? Bokeh.documents : []) {
      const line = document_.get_model_by_name(report.shown);
      line.visible = clock() === "step";
      if (line.visible) line.location = stop.at;
    }
    if (report.charts) tell(clock() === "step" ? stop.at : null);
  }

  if (slider) {
    slider.addEventListener("input", show);
    for (const choice of document.querySelectorAll('input[name="clock"]')) {
      choice.addEventListener("change", () => {
        slider.max = report.stops[clock()].length - 1;
        slider.value = slider.max;
        show();
      });
    }
    document.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!move || event.target !== document.body || event.altKey || event.ctrlKey || event.metaKey) return;
      slider.value = Number(slider.value) + move;
      show();
    });
  }

  async function begin() {
    if (report.charts) {
      await Bokeh.embed.embed_items(report.charts.documents, report.charts.items);
      paint();
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
      for (const box of document.querySelectorAll("input[data-line]")) {
        box.addEventListener("change", () => {
          for (const drawn of renderers(box.dataset)) drawn.visible = box.checked;
        });
      }
    }
    if (slider) show();
    document.documentElement.dataset.ready = "yes";
  }
  begin();
})();
