// Lets a customer draw a signature. Without it, the typed name is the signature.
const pad = document.getElementById("pad");
const drawn = document.getElementById("drawn");
drawn.value = ""; // a browser may fill in what was there before a reload
const brush = pad.getContext("2d");
brush.lineWidth = 2;
brush.lineCap = "round";
const place = (event) => {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) * pad.width) / box.width, ((event.clientY - box.top) * pad.height) / box.height];
};
let draws = false;
pad.addEventListener("pointerdown", (event) => {
  draws = true;
  pad.setPointerCapture(event.pointerId);
  brush.beginPath();
  brush.moveTo(...place(event));
});
pad.addEventListener("pointermove", (event) => {
  if (!draws) return;
  brush.lineTo(...place(event));
  brush.stroke();
  drawn.value = "unsaved";
});
for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { draws = false; });
document.getElementById("clear").addEventListener("click", () => {
  brush.clearRect(0, 0, pad.width, pad.height);
  drawn.value = "";
});
document.getElementById("accept").addEventListener("submit", () => {
  if (drawn.value) drawn.value = pad.toDataURL("image/png");
});
document.getElementById("drawing").hidden = false;
