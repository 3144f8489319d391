/** Grids of numbers as colours over a picture. */

const FOR = [240, 120, 20]; // orange and blue: told apart by the colour-blind too
const AGAINST = [40, 120, 230];

/** Draw a picture in grey with a grid of -reach..reach over it. */
export function draw(canvas, picture, grid, reach) {
  const rows = grid.length;
  const small = document.createElement("canvas");
  small.width = small.height = rows;
  const context = small.getContext("2d");
  const image = context.createImageData(rows, rows);
  grid.flat().forEach((value, index) => {
    const strength = Math.min(1, Math.abs(value) / reach);
    image.data.set([...(value < 0 ? AGAINST : FOR), 225 * Math.sqrt(strength)], 4 * index);
  });
  context.putImageData(image, 0, 0);
  const target = canvas.getContext("2d");
  target.imageSmoothingQuality = "high";
  target.clearRect(0, 0, canvas.width, canvas.height);
  target.drawImage(picture, 0, 0, canvas.width, canvas.height);
  target.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** The largest value of a grid, and in words where it is. */
export function place(grid) {
  const flat = grid.flat();
  const index = flat.indexOf(Math.max(...flat));
  const third = (position) => ((at) => (at < 0.42 ? 0 : at < 0.58 ? 1 : 2))((position + 0.5) / grid.length);
  const row = ["upper", "middle", "lower"][third(Math.floor(index / grid.length))];
  const column = ["left", "middle", "right"][third(index % grid.length)];
  return { drop: flat[index], where: row === column ? "middle" : `${row} ${column}` };
}

/** Pearson's r; NaN where one side does not vary. */
export function correlation(a, b) {
  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  const sum = (f) => a.reduce((total, _, i) => total + f(a[i] - ma, b[i] - mb), 0);
  return sum((x, y) => x * y) / Math.sqrt(sum((x) => x * x) * sum((_, y) => y * y));
}
