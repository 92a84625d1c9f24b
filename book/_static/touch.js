// What a reader can move in a page; laid out by alsnb/touch.py. No library, no request.
// Formulas take the same steps as the package's, so that their digits are the same; tests compare.
(function () {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const NONE = "–";
  const fixed = (x, digits) => {
    if (!Number.isFinite(x)) return NONE;
    const text = x.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text;
  };
  const range = (n) => Array.from({length: n}, (_, i) => i);

  function draw(parent, name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const key of Object.keys(attributes)) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return parent.appendChild(made);
  }

  // Controls, texts and the spoken sentence of one piece.
  function piece(root, update) {
    const find = (name, value) => root.querySelector(`[data-${name}="${value}"]`);
    const control = {};
    for (const one of root.querySelectorAll("[data-control]")) {
      control[one.dataset.control] = one;
      one.addEventListener("input", update);
    }
    let waiting;
    return {
      find, control,
      write(name, value, text) { find(name, value).textContent = text; },
      say(text) {  // a screen reader should not hear every step of a slider
        window.clearTimeout(waiting);
        waiting = window.setTimeout(() => {
          root.querySelector("[data-says]").textContent = text;
        }, 300);
      },
    };
  }

  // Threshold and prevalence: alsnb.interactive.

  function scores(sens, spec, prev) {
    const tp = prev * sens, fp = (1 - prev) * (1 - spec), fn = prev - tp, tn = 1 - prev - fp;
    return {precision: tp + fp > 0 ? tp / (tp + fp) : NaN, recall: sens,
            f1: 2 * tp / (2 * tp + fp + fn), specificity: spec,
            balanced_accuracy: (sens + spec) / 2, npv: tn + fn > 0 ? tn / (tn + fn) : NaN};
  }

  function wilson(share, n) {
    const z = 1.959963984540054, scale = 1 + z * z / n;
    const centre = (share + z * z / (2 * n)) / scale;
    const half = z / scale * Math.sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    return [Math.max(centre - half, 0), Math.min(centre + half, 1)];
  }

  function interval(sens, spec, prev, data) {
    const middle = scores(sens, spec, prev), found = {};
    const a = wilson(sens, data.n.positive), b = wilson(spec, data.n.negative);
    const ends = [0, 1].map((i) => [scores(a[i], spec, prev), scores(sens, b[i], prev)]);
    for (const name of data.measures) {
      const reach = ends.map((e) => {
        const x = e[0][name] - middle[name], y = e[1][name] - middle[name];
        return Math.sqrt(x * x + y * y);
      });
      found[name] = [Math.max(middle[name] - reach[0], 0), Math.min(middle[name] + reach[1], 1)];
    }
    return found;
  }

  // Share called positive at a step: as drawn, the least it can be, the most.
  function called(knots, step) {
    let i = knots.length - 1;
    while (knots[i][0] > step) i--;
    const before = knots[i], after = knots[i + 1] || [101, 0], n = knots[0][1];
    if (before[0] === step) return [before[1], before[1], before[1]].map((k) => k / n);
    const slope = (after[1] - before[1]) / (after[0] - before[0]);
    return [slope * (step - before[0]) + before[1], after[1], before[1]].map((k) => k / n);
  }

  function intervals(sens, spec, prev, data) {
    const low = interval(sens[1], spec[1], prev, data);
    const high = interval(sens[2], spec[2], prev, data);
    if (sens[1] === sens[2] && spec[1] === spec[2]) return low;
    const found = {}, or = (x, other) => Number.isFinite(x) ? x : other;
    for (const name of data.measures) found[name] = [or(low[name][0], 0), or(high[name][1], 1)];
    return found;
  }

  function calculator(root, data) {
    const own = piece(root, update), {control, write} = own;
    const picture = root.querySelector("svg[role=img]");
    const people = range(1000).map((i) => draw(picture, "circle", {
      cx: 5 + 10 * Math.floor(i / 25), cy: 5 + 10 * (i % 25), r: 3.6}));
    function update() {
      const knots = data.models[Number(control.model.value)];
      const threshold = Number(control.threshold.value), prev = Number(control.prevalence.value);
      const step = Math.round(100 * threshold);
      const yes = called(knots.positive, step), no = called(knots.negative, step);
      const sens = yes[0], spec = 1 - no[0];
      const model = scores(sens, spec, prev), all = scores(1, 0, prev);
      const reach = intervals(yes, [spec, 1 - no[2], 1 - no[1]], prev, data);
      write("value", "threshold", threshold.toFixed(2));
      write("value", "prevalence", prev.toFixed(2));
      for (const name of data.measures) {
        write("model", name, fixed(model[name], 3));
        write("interval", name, Number.isFinite(model[name])
          ? `${fixed(reach[name][0], 3)} to ${fixed(reach[name][1], 3)}` : NONE);
        write("all", name, fixed(all[name], 3));
      }
      const positives = Math.round(1000 * prev), found = Math.round(positives * sens);
      const alarms = Math.round((1000 - positives) * (1 - spec));
      const count = {p1: found, p0: positives - found, n1: alarms, n0: 1000 - positives - alarms};
      let i = 0;
      for (const kind of ["p1", "p0", "n1", "n0"]) {
        write("people", kind, count[kind]);
        for (let k = 0; k < count[kind]; k++) people[i++].setAttribute("class", kind);
      }
      const says = `Of 1000 people, ${positives} have ${data.names.positive}. The model calls ` +
        `${found + alarms} ${data.names.positive}, ${found} of them rightly, and misses ` +
        `${count.p0}. Calling everybody ${data.names.positive} misses nobody and is wrong for ` +
        `${1000 - positives}.`;
      picture.setAttribute("aria-label", says);
      own.say(says);
    }
    function reset() {
      for (const name of Object.keys(data.start)) control[name].value = String(data.start[name]);
      update();
    }
    return {update, reset};
  }

  // Effect size and number of people: alsnb.power_surface.

  function between(known, value) {
    let above = known.findIndex((k) => k >= value);
    if (above < 0) above = known.length - 1;
    if (known[above] === value || above === 0) return [[above], 0];
    return [[above - 1, above], (value - known[above - 1]) / (known[above] - known[above - 1])];
  }

  function at(s, level, n) {
    const [rows, u] = between(s.levels, level);
    const [columns, v] = between(s.sizes.map(Math.sqrt), Math.sqrt(n));
    const along = (values, part) =>
      values[0] + part * (values[values.length - 1] - values[0]);
    const lines = columns.map((j) => along(rows.map((i) => s.share[i][j]), u));
    const near = rows.flatMap((i) => columns.map((j) => [i, j]));
    return {share: along(lines, v), near, computed: near.length === 1,
            lower: Math.min(...near.map(([i, j]) => s.lower[i][j])),
            upper: Math.max(...near.map(([i, j]) => s.upper[i][j])),
            ml: along(rows.map((i) => s.lost_ml[i]), u),
            ceiling: along(rows.map((i) => s.ceiling[i]), u)};
  }

  const percent = (share) => fixed(100 * share, 0);

  function power(root, data) {
    const own = piece(root, update), {control, write, find} = own;
    const curve = find("picture", "curve"), map = find("picture", "map");
    const box = {left: 46, right: 352, top: 10, bottom: 208};
    let shown = null;

    const surface = () =>
      data.surfaces[Number(control.representation.value)][Number(control.kind.value)];
    const across = (s, level) =>
      box.left + (box.right - box.left) * level / s.levels[s.levels.length - 1];
    const up = (share) => box.bottom - (box.bottom - box.top) * share;
    const high = (s, n) => {  // as the surface is drawn: by the square root
      const ends = [s.sizes[0], s.sizes[s.sizes.length - 1]].map(Math.sqrt);
      return ends[0] === ends[1] ? 0.5 : (Math.sqrt(n) - ends[0]) / (ends[1] - ends[0]);
    };

    function axes(picture, s, ticks, title) {
      draw(picture, "path", {class: "axis",
        d: `M${box.left} ${box.top}V${box.bottom}H${box.right}`});
      const top = s.levels[s.levels.length - 1];
      for (const part of [0, 0.25, 0.5, 0.75, 1]) {
        draw(picture, "text", {x: across(s, part * top), y: box.bottom + 16,
          "text-anchor": part === 1 ? "end" : "middle"}, String(Number((part * top).toFixed(2))));
      }
      draw(picture, "text", {x: (box.left + box.right) / 2, y: box.bottom + 34,
        "text-anchor": "middle"}, `Lost of ${data.regions[Number(control.kind.value)]} (%)`);
      for (const [y, text] of ticks) {
        draw(picture, "text", {x: box.left - 8, y: y + 4, "text-anchor": "end"}, text);
      }
      draw(picture, "text", {x: 12, y: (box.top + box.bottom) / 2, "text-anchor": "middle",
        transform: `rotate(-90 12 ${(box.top + box.bottom) / 2})`}, title);
    }

    function drawMap(s) {  // changes with the representation and the kind only
      map.replaceChildren();
      const wide = 36, tall = s.sizes.length > 1 ? 22 : 1;
      const width = (box.right - box.left) / wide, height = (box.bottom - box.top) / tall;
      const ends = [s.sizes[0], s.sizes[s.sizes.length - 1]].map(Math.sqrt);
      for (const i of range(wide)) {
        for (const j of range(tall)) {
          const level = (i + 0.5) / wide * s.levels[s.levels.length - 1];
          const root = ends[0] + (j + 0.5) / tall * (ends[1] - ends[0]);
          const share = at(s, level, tall > 1 ? root * root : s.sizes[0]).share;
          draw(map, "rect", {class: "cell", x: box.left + i * width, width,
            y: box.bottom - (j + 1) * height, height,
            "fill-opacity": Math.max(0, Math.min(1, share)).toFixed(3)});
        }
      }
      axes(map, s, s.sizes.map((n) => [up(high(s, n)), String(n)]), "People");
      for (const level of s.levels) {
        for (const n of s.sizes) {
          draw(map, "circle", {class: "ring", cx: across(s, level), cy: up(high(s, n)), r: 4});
        }
      }
      draw(map, "path", {class: "cross"});
    }

    function drawCurve(s, n, level) {
      curve.replaceChildren();
      const points = s.losses.map((x) => [across(s, x), at(s, x, n)]);
      const edge = (list, key) => list.map(([x, p]) => `${x.toFixed(1)} ${up(p[key]).toFixed(1)}`);
      draw(curve, "path", {class: "band", d: "M" +
        [...edge(points, "upper"), ...edge(points, "lower").reverse()].join("L") + "Z"});
      for (const share of [data.level, data.wanted]) {
        draw(curve, "path", {class: "mark", d: `M${box.left} ${up(share)}H${box.right}`});
      }
      draw(curve, "path", {class: "line", d: "M" + edge(points, "share").join("L")});
      axes(curve, s, [0, 0.2, 0.4, 0.6, 0.8, 1].map((y) => [up(y), percent(y)]),
        "Cohorts found (%)");
      const column = s.sizes.indexOf(n);
      if (column >= 0) {
        s.levels.forEach((x, i) => draw(curve, "circle",
          {class: "dot", cx: across(s, x), cy: up(s.share[i][column]), r: 3.5}));
      }
      const here = at(s, level, n);
      draw(curve, "path", {class: "cross", d: `M${across(s, level)} ${box.top}V${box.bottom}`});
      draw(curve, "circle", {class: "chosen", cx: across(s, level), cy: up(here.share), r: 5});
    }

    function fit(s) {  // another kind has other losses: keep to their range
      control.level.max = s.losses.length - 1;
      control.n.max = s.people.length - 1;
      control.n.disabled = s.people.length === 1;
    }

    function update() {
      const s = surface();
      if (s !== shown) {
        fit(s);
        if (shown) {  // the same place on the slider, and the same people
          control.level.value = Math.round(control.level.dataset.part * (s.losses.length - 1));
        }
        shown = s;
        drawMap(s);
      }
      control.level.dataset.part = control.level.value / (s.losses.length - 1);
      const level = s.losses[Number(control.level.value)], n = s.people[Number(control.n.value)];
      const p = at(s, level, n), size = `${level} %`;
      control.level.setAttribute("aria-valuetext", `${level} per cent`);
      control.n.setAttribute("aria-valuetext", `${n} people`);
      write("value", "level", size);
      write("value", "n", String(n));
      const share = `${percent(p.share)} %`;
      const span = `${percent(p.lower)} to ${percent(p.upper)} %`;
      const how = p.computed ? `(computed; 95 % interval ${span})`
        : `(drawn between computed points; their intervals run from ${span})`;
      write("value", "share", share);
      write("value", "span", how);
      write("value", "near", p.near.map(([i, j]) =>
        `${s.levels[i]} %, ${s.sizes[j]} people: ${percent(s.share[i][j])} ` +
        `(${percent(s.lower[i][j])} to ${percent(s.upper[i][j])}) %`).join("; "));
      write("value", "ml", `${fixed(p.ml, 1)} ml`);
      write("value", "ceiling", fixed(p.ceiling, 2));
      const loss = s.losses.find((x) => at(s, x, n).share >= data.wanted);
      const people = s.people.find((m) => at(s, level, m).share >= data.wanted);
      write("value", "reached",
        (loss === undefined ? `with ${n} people at no loss shown`
          : `with ${n} people from a loss of ${loss} % on`) + "; " +
        (people === undefined ? `at a loss of ${size} with no number shown`
          : `at a loss of ${size} with ${people} people or more`));
      drawCurve(s, n, level);
      const x = across(s, level), y = up(high(s, n));
      map.querySelector(".cross").setAttribute("d",
        `M${x - 9} ${y}H${x + 9}M${x} ${y - 9}V${y + 9}`);
      const name = data.names[Number(control.representation.value)];
      const says = `${name}: a loss of ${size} of ${data.regions[Number(control.kind.value)]} is ` +
        `found in ${share} of cohorts of ${n} people ${how}.`;
      curve.setAttribute("aria-label", `Power by loss for ${n} people. ${says}`);
      map.setAttribute("aria-label", `Power by loss and number of people. ${says}`);
      own.say(says);
    }

    map.addEventListener("click", (event) => {
      const s = surface(), frame = map.getBoundingClientRect();
      const x = (event.clientX - frame.left) / frame.width * 360;
      const y = (event.clientY - frame.top) / frame.height * 250;
      const nearest = (list, place, aim) => list.reduce((best, value) =>
        Math.abs(place(value) - aim) < Math.abs(place(best) - aim) ? value : best);
      const pick = (all, computed, place, aim) => {  // on a ring, the ring's own value
        const ring = nearest(computed, place, aim);
        return all.indexOf(Math.abs(place(ring) - aim) < 5 ? ring : nearest(all, place, aim));
      };
      control.level.value = pick(s.losses, s.levels, (level) => across(s, level), x);
      control.n.value = pick(s.people, s.sizes, (n) => up(high(s, n)), y);
      update();
    });
    function reset() {
      control.representation.value = control.kind.value = "0";
      const s = surface();
      fit(s);
      [control.level.value, control.n.value] = s.start;
      control.level.dataset.part = control.level.value / (s.losses.length - 1);
      update();
    }
    return {update, reset};
  }

  // Any model over its out-of-fold predictions: alsnb.model_chooser.

  function models(root, data) {
    const own = piece(root, update), {control, write, find} = own;
    const curve = find("picture", "roc"), strips = find("picture", "strips");
    const KEY = ["protocol", "representation", "classifier"];

    function drawCurve(points) {
      curve.replaceChildren();
      const x = (v) => 44 + 246 * v, y = (v) => 238 - 228 * v;
      draw(curve, "path", {class: "axis", d: `M${x(0)} ${y(1)}V${y(0)}H${x(1)}`});
      draw(curve, "path", {class: "dashed", d: `M${x(0)} ${y(0)}L${x(1)} ${y(1)}`});
      for (const v of [0, 0.5, 1]) {
        draw(curve, "text", {x: x(v), y: y(0) + 16, "text-anchor": v === 1 ? "end" : "middle"}, v);
        draw(curve, "text", {x: x(0) - 6, y: y(v) + 4, "text-anchor": "end"}, v);
      }
      draw(curve, "text", {x: x(0.5), y: y(0) + 34, "text-anchor": "middle"},
        "False positive rate");
      draw(curve, "text", {x: 12, y: y(0.5), "text-anchor": "middle",
        transform: `rotate(-90 12 ${y(0.5)})`}, "Recall");
      if (points) {
        draw(curve, "path", {class: "line",
          d: "M" + points.map(([a, b]) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("L")});
      }
    }

    function drawStrips(protocol, chosen) {
      strips.replaceChildren();
      const x = (v) => 10 + 340 * v;
      data.strips.forEach((name, k) => {
        const y = 34 + 50 * k;
        draw(strips, "text", {x: x(0), y: y - 16}, name);
        draw(strips, "path", {class: "axis", d: `M${x(0)} ${y}H${x(1)}`});
        for (const place of Object.keys(data.models)) {
          const value = data.models[place].means[k];
          if (place.split("/")[0] === protocol && value !== null) {
            draw(strips, "path", {class: "one", d: `M${x(value).toFixed(1)} ${y - 6}v12`});
          }
        }
        const line = data.lines[Number(protocol)][k];
        if (line !== null) {
          draw(strips, "path", {class: "dashed", d: `M${x(line).toFixed(1)} ${y - 13}v26`});
        }
        if (chosen.means[k] !== null) {
          draw(strips, "circle", {class: "chosen", cx: x(chosen.means[k]).toFixed(1), cy: y, r: 6});
        }
      });
      for (const v of [0, 0.25, 0.5, 0.75, 1]) {
        draw(strips, "text", {x: x(v), y: 164, "text-anchor": "middle"}, v);
      }
    }

    function update() {
      const place = KEY.map((key) => control[key].value), protocol = place[0];
      const model = data.models[place.join("/")], always = data.always[Number(protocol)];
      for (const name of data.measures) {
        write("model", name, model.scores[name]);
        write("always", name, always[name]);
      }
      for (const cell of Object.keys(model.cells)) {
        const text = model.cells[cell], share = /\((\d+) %\)/.exec(text), shown = find("cell", cell);
        shown.textContent = text;
        shown.style.background = share
          ? `color-mix(in srgb, var(--alsnb-ill) ${0.35 * Number(share[1])}%, transparent)` : "";
      }
      write("value", "people", data.people);
      drawCurve(model.roc);
      drawStrips(protocol, model);
      const [how, what, which] = KEY.map((key, i) => data.names[key][Number(place[i])]);
      const says = `${what} with ${which}, ${how}: F1 ${model.scores.f1} (always ${data.larger}: ` +
        `${always.f1}), AUC ${model.scores.auc}, balanced accuracy ` +
        `${model.scores.balanced_accuracy}.`;
      curve.setAttribute("aria-label", model.roc ? `ROC curve. ${says}`
        : "No ROC curve.");
      strips.setAttribute("aria-label", `Scores of all models of the protocol ${how}. ${says}`);
      own.say(says);
    }
    function reset() {
      for (const key of KEY) control[key].value = "0";
      update();
    }
    return {update, reset};
  }

  const kinds = {calculator, power, models};

  function start() {
    for (const root of document.querySelectorAll("[data-alsnb-touch]")) {
      const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
      const made = kinds[root.dataset.alsnbTouch](root, data);
      root.querySelector("[data-reset]").addEventListener("click", made.reset);
      root.querySelector(".alsnb-live").hidden = false;
      root.querySelector("details").open = false;
      made.reset();
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
