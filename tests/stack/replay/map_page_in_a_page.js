// Runs the script of a map page (path: first argument) against the least of a browser, moves the
// pointer over the first transition, and prints as JSON what was drawn and what was said.
"use strict";
const fs = require("fs"), vm = require("vm");
const page = fs.readFileSync(process.argv[2], "utf8");
const scripts = [...page.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
const data = scripts.find((script) => script[1].includes("application/json"))[2];
const code = scripts.find((script) => !script[1].includes("application/json"))[2];

const calls = {}, texts = [], heights = [], asked = [], elements = new Map();
class Element {
  constructor(tag) {
    Object.assign(this, { tag, style: {}, dataset: {}, children: [], handlers: {}, checked: true });
    Object.assign(this, { textContent: "", value: "", hidden: false, clientWidth: 800 });
    Object.assign(this, { clientHeight: 600, offsetWidth: 100, offsetHeight: 50 });
  }
  addEventListener(name, handler) { this.handlers[name] = handler; }
  append(...nodes) { this.children.push(...nodes); }
  replaceChildren(...nodes) { this.children = nodes; }
  setPointerCapture() {}
  getContext() {
    return new Proxy({}, {
      get: (own, name) => (name in own ? own[name] : (...values) => {
        if (name === "measureText") return { width: 8 * values[0].length };
        if (name === "fillText") texts.push(values[0]), heights.push(values[2]);
        if (values.some((value) => typeof value === "number" && !Number.isFinite(value)))
          throw new Error(`${name}(${values})`);
        calls[name] = (calls[name] || 0) + 1;
      }),
    });
  }
}
const byId = (id) => {
  if (!elements.has(id)) elements.set(id, new Element(id));
  return elements.get(id);
};
byId("data").textContent = data;
byId("until").value = "10000";
byId("scale").children = [new Element("span"), new Element("div")];
const world = {
  document: {
    getElementById: byId, documentElement: new Element("html"), title: "a title",
    createElement: (tag) => new Element(tag), querySelector: byId,
    createTextNode: (text) => ({ text }),
  },
  window: { devicePixelRatio: 2, matchMedia: () => new Element("media") },
  getComputedStyle: () => ({ getPropertyValue: () => " #123456" }),
  requestAnimationFrame: (draw) => asked.push(draw),
  ResizeObserver: class { observe() {} },
};
vm.runInNewContext(code + "\nthis.at = (found) => [xOf(found.lon), yOf(found.lat)];" +
  "this.transitions = transitions; this.everything = everything; this.tracks = tracks;" +
  "this.yOf = yOf; this.middles = zones.map((zone) => zone.middle);" +
  "this.shown = () => [transitions.filter(isShown).length," +
  "tracks.map((one) => countUntil(one.times, untilMs) - countUntil(one.times, sinceMs))];", world);
const draw = () => asked.splice(0).forEach((one) => one());
draw();
const drawn = { ...calls }, names = [...texts], nameHeights = [...heights];
const middleHeights = world.middles.map((middle) => world.yOf(middle[1])), scale = byId("scale").children[0].textContent;
const atTime = (until, span) => {
  byId("until").value = until; byId("span").value = span;
  byId("until").handlers.input();
  draw();
  return [byId("now").textContent, ...world.shown()];
};
const times = world.tracks.length
  ? [["0", "0"], ["5000", "0"], ["10000", "0"], ["10000", "1"]].map((one) => atTime(...one)) : [];
if (world.tracks.length) atTime("10000", "0");
const map = byId("map"), told = [];
for (const found of world.transitions) {
  const [offsetX, offsetY] = world.at(found);
  map.handlers.pointermove({ pointerId: 1, offsetX, offsetY });
  told.push(byId("told").hidden ? null : byId("told").textContent);
}
const pointer = { pointerId: 1, offsetX: 10, offsetY: 10 };
map.handlers.pointerdown(pointer);
map.handlers.pointermove({ ...pointer, offsetX: 60 });
map.handlers.pointerup(pointer);
map.handlers.wheel({ preventDefault() {}, deltaY: -300, deltaMode: 0, offsetX: 1, offsetY: 2 });
for (const key of ["ArrowLeft", "+", "-", "0"]) map.handlers.keydown({ key, preventDefault() {} });
if (world.tracks.length) {
  byId("devices").children[0].children[1].handlers.click();  // only this one
  draw();
}
const only = world.tracks.filter((track) => track.shown).map((track) => track.id);
byId("none").handlers.click();
byId("theme").handlers.click();
draw();
console.log(JSON.stringify({
  drawn, told, everything: world.everything(),
  names, times, only, hasSlider: !byId("time").hidden, middles: world.middles, nameHeights, middleHeights,
  hues: world.tracks.map((track) => track.hue), isListOpen: byId("list").open,
  devices: byId("devices").children.map((row) => row.children[0].children[2].text),
  notes: byId("notes").textContent, scale,
}));
