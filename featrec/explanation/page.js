
// Adds a slider for the strength of the colours to each image. The page is complete without it.
for (const choice of document.querySelectorAll(".overlay .choice")) {
  const label = document.createElement("label");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, value: 100 });
  slider.addEventListener("input", () => {
    choice.closest(".overlay").querySelector(".layers").style.setProperty("--strength", slider.value / 100);
  });
  label.append("colours", slider);
  choice.append(label);
}
