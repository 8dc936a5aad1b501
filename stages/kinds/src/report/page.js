'use strict';
// Two parts of the page are drawn here: the graph of the run, which is known only after the page was made, and the
// trace browser. Text of the data reaches the page through textContent alone, never as markup.
(function () {
  const SVG = 'http://www.w3.org/2000/svg';
  const byId = (id) => document.getElementById(id);
  const read = (id) => { const slot = byId(id); return slot ? JSON.parse(slot.textContent) : null; };
  const made = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined && text !== null) node.textContent = String(text);
    return node;
  };
  const drawn = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const key of Object.keys(attributes)) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const grouped = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  const lasted = (s) => {
    if (typeof s !== 'number' || !isFinite(s)) return '';
    if (s < 1) return Math.round(s * 1000) + ' ms';
    if (s < 60) return s.toFixed(1) + ' s';
    if (s < 3600) return Math.floor(s / 60) + ' m ' + Math.round(s % 60) + ' s';
    return Math.floor(s / 3600) + ' h ' + Math.round((s % 3600) / 60) + ' m';
  };
  const cut = (text, length) => (text.length > length ? text.slice(0, length - 1) + '…' : text);

  // ---- the graph: a stage's layer is the longest way to it; within a layer, near to what it reads
  function layers(stages) {
    const known = new Map(stages.map((stage) => [stage.name, stage]));
    const readers = new Map(stages.map((stage) => [stage.name, []]));
    const open = new Map();
    for (const stage of stages) {
      const after = (stage.after || []).filter((name) => known.has(name));
      open.set(stage.name, after.length);
      for (const name of after) readers.get(name).push(stage.name);
    }
    const depth = new Map(stages.map((stage) => [stage.name, 0]));
    const ready = stages.map((stage) => stage.name).filter((name) => open.get(name) === 0);
    for (let i = 0; i < ready.length; i += 1) {
      for (const reader of readers.get(ready[i])) {
        depth.set(reader, Math.max(depth.get(reader), depth.get(ready[i]) + 1));
        open.set(reader, open.get(reader) - 1);
        if (open.get(reader) === 0) ready.push(reader);
      }
    }
    const rows = [];
    for (const stage of stages) (rows[depth.get(stage.name)] = rows[depth.get(stage.name)] || []).push(stage);
    const place = new Map();
    for (const row of rows) {
      const wish = (stage) => {
        const seen = (stage.after || []).map((name) => place.get(name)).filter((p) => p !== undefined);
        return seen.length ? seen.reduce((a, b) => a + b, 0) / seen.length : 0;
      };
      row.sort((a, b) => wish(a) - wish(b));
      row.forEach((stage, i) => place.set(stage.name, i - (row.length - 1) / 2));
    }
    return rows;
  }

  function graph(run) {
    const stages = Array.isArray(run.stages) ? run.stages : [];
    if (!stages.length) return;
    const rows = layers(stages);
    const W = 138, H = 46, GX = 40, GY = 16, M = 6;
    const tallest = Math.max.apply(null, rows.map((row) => row.length));
    const width = rows.length * (W + GX) - GX + 2 * M, height = tallest * (H + GY) - GY + 2 * M;
    const svg = drawn('svg', { viewBox: '0 0 ' + width + ' ' + height, width: width, height: height, role: 'img', 'aria-label': 'stages of the run and what each reads' });
    const at = new Map();
    rows.forEach((row, layer) => row.forEach((stage, i) => {
      const top = (height - row.length * (H + GY) + GY) / 2;
      at.set(stage.name, { x: M + layer * (W + GX), y: top + i * (H + GY) });
    }));
    for (const stage of stages) {
      const to = at.get(stage.name);
      for (const name of stage.after || []) {
        const from = at.get(name);
        if (!from) continue;
        const x1 = from.x + W, y1 = from.y + H / 2, x2 = to.x, y2 = to.y + H / 2, bend = Math.max(18, (x2 - x1) / 2);
        svg.append(drawn('path', { class: 'edge', d: 'M' + x1 + ' ' + y1 + ' C' + (x1 + bend) + ' ' + y1 + ' ' + (x2 - bend) + ' ' + y2 + ' ' + x2 + ' ' + y2 }));
      }
    }
    for (const stage of stages) {
      const { x, y } = at.get(stage.name);
      const state = String(stage.state || 'unknown');
      const group = drawn('g', { class: 'node s-' + state.replace(/[^a-z]/g, '') });
      group.append(drawn('title', {}, stage.name + ' (' + (stage.kind || '') + '): ' + state));
      group.append(drawn('rect', { class: 'box', x: x, y: y, width: W, height: H, rx: 6 }));
      group.append(drawn('rect', { class: 'state', x: x, y: y + 8, width: 3, height: H - 16, rx: 1.5 }));
      group.append(drawn('text', { class: 'strong', x: x + 12, y: y + 19 }, cut(String(stage.name), 19)));
      group.append(drawn('text', { class: 'soft', x: x + 12, y: y + 36 }, cut([state, state === 'cached' ? '' : lasted(stage.seconds)].filter(Boolean).join(' · '), 22)));
      svg.append(group);
    }
    byId('graph').append(svg);

    const body = byId('run-stages');
    for (const stage of stages) {
      const row = made('tr');
      const name = made('th', '', stage.name);
      name.scope = 'row';
      const main = (stage.outputs || [])[0] || {};
      row.append(name, made('td', '', stage.kind), made('td', '', stage.state), made('td', 'num', lasted(stage.seconds)),
        made('td', 'num', typeof main.rows === 'number' ? grouped(main.rows) : ''), made('td', 'mono', String(stage.key || '').slice(0, 8)),
        made('td', 'mono', (stage.outputs || []).map((o) => o.name + ' ' + String(o.content || '').slice(0, 8)).join('  ')));
      body.append(row);
    }
    const settings = byId('run-settings');
    for (const stage of stages) {
      if (!stage.settings) continue;
      const fold = made('details');
      fold.append(made('summary', '', stage.name), made('pre', '', typeof stage.settings === 'string' ? stage.settings : JSON.stringify(stage.settings, null, 2)));
      settings.append(fold);
    }
    if (settings.childElementCount) byId('run-settings-part').hidden = false;
    const count = (state) => stages.filter((stage) => stage.state === state).length;
    const facts = [run.pipeline, run.run ? 'run ' + run.run : '', run.started_at, lasted(run.seconds), count('ran') + count('resumed') + ' ran, ' + count('cached') + ' cached',
      typeof run.usd === 'number' && run.usd > 0 ? '$' + run.usd.toFixed(2) : '', run.tool ? 'dag ' + run.tool : ''];
    byId('run-facts').textContent = facts.filter(Boolean).join(' · ');
    byId('run').hidden = false;
    const link = byId('run-link');
    if (link) link.hidden = false;
  }

  // ---- the traces
  function browser(traces) {
    const chosen = { stage: '', family: '', verdict: '', text: '' };
    const list = byId('trace-list'), more = byId('more'), told = byId('trace-count');
    const PAGE = 10;
    let shown = PAGE;
    const options = (id, key) => {
      const select = byId(id);
      const values = Array.from(new Set(traces.map((t) => t[key]).filter((v) => v !== null && v !== undefined))).sort();
      for (const value of values) { const option = made('option', '', value); option.value = value; select.append(option); }
      if (values.length < 2) select.parentElement.hidden = true;
      select.addEventListener('change', () => { chosen[key] = select.value; shown = PAGE; draw(); });
    };
    options('trace-stage', 'stage'); options('trace-family', 'family'); options('trace-verdict', 'verdict');
    byId('trace-search').addEventListener('input', (event) => { chosen.text = event.target.value.toLowerCase(); shown = PAGE; draw(); });
    more.addEventListener('click', () => { shown += PAGE; draw(); });
    const fits = (t) => (!chosen.stage || t.stage === chosen.stage) && (!chosen.family || t.family === chosen.family) && (!chosen.verdict || t.verdict === chosen.verdict)
      && (!chosen.text || [t.prompt, t.response, t.thought, t.gold, t.extracted, t.reason, t.id].some((part) => part && part.toLowerCase().includes(chosen.text)));
    const pair = (dl, name, value) => { if (value === null || value === undefined || value === '') return; const box = made('div'); box.append(made('dt', '', name), made('dd', 'mono', value)); dl.append(box); };

    function card(t) {
      const box = made('article', 'trace');
      const head = made('header');
      if (t.verdict) head.append(made('span', 'verdict v-' + t.verdict.replace(/[^a-z]/g, ''), t.verdict));
      head.append(made('span', '', t.stage));
      if (t.family) head.append(made('span', '', t.family));
      if (typeof t.tokens === 'number') head.append(made('span', '', grouped(t.tokens) + ' tokens'));
      if (t.finish && t.finish !== 'stop') head.append(made('span', '', 'ended by ' + t.finish));
      head.append(made('span', 'mono', t.id + (typeof t.replicate === 'number' ? ' #' + t.replicate : '')));
      box.append(head, made('pre', 'prompt', t.prompt));
      if (t.thought) {
        const fold = made('details');
        fold.append(made('summary', '', 'thought, ' + grouped(t.thought.length) + ' characters'), made('pre', '', t.thought));
        box.append(fold);
      }
      box.append(made('p', 'said', 'answer'), made('pre', '', t.response));
      const dl = made('dl', 'answers');
      pair(dl, 'gold', t.gold); pair(dl, 'read from the answer', t.extracted); pair(dl, 'rule', t.rule); pair(dl, 'reason', t.reason);
      if (dl.childElementCount) box.append(dl);
      if (t.cut) box.append(made('p', 'said', 'cut for this page'));
      return box;
    }
    function draw() {
      const found = traces.filter(fits);
      list.replaceChildren.apply(list, found.slice(0, shown).map(card));
      told.textContent = found.length === traces.length ? grouped(traces.length) + ' traces' : grouped(found.length) + ' of ' + grouped(traces.length) + ' traces';
      more.hidden = found.length <= shown;
    }
    draw();
  }

  const run = read('dag-run');
  if (run) graph(run);
  const traces = read('dag-traces');
  if (traces && traces.length && byId('trace-list')) browser(traces);
}());
