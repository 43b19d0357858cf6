// What happens when, under the player: curves of the best classes, segments to go to, a cursor.
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const CURVES = 5;

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const percent = (share) => `${Math.round(100 * share)} %`;

export function showTimeline({ predictions, segments, windows, duration }, player) {
  const shown = predictions.slice(0, CURVES).map(({ label }) => label);
  const place = (time) => `${(100 * Math.min(time / (duration || 1), 1)).toFixed(3)}%`;
  const go = (time) => { player.currentTime = Math.min(time, Math.max(duration - 0.05, 0)); };

  $("curves").replaceChildren(...shown.map((label, k) => curve(windows.times, windows.scores[label], duration, k)));
  $("curves").onclick = ({ offsetX }) => go((offsetX / $("curves").clientWidth) * duration);
  $("segments").replaceChildren(...segments.map((segment) => {
    const button = document.createElement("button");
    const rank = shown.indexOf(segment.label);
    button.type = "button";
    button.className = `f${rank < 0 ? CURVES : rank}`;
    button.style.left = place(segment.start);
    button.style.width = place(segment.end - segment.start);
    button.textContent = `${segment.label} ${percent(segment.score)}`;
    button.setAttribute("aria-label", `${segment.label}, from ${clock(segment.start)} to ${clock(segment.end)}, ${percent(segment.score)}`);
    button.title = button.getAttribute("aria-label");
    button.onclick = () => go(segment.start);
    return button;
  }));
  $("legend").replaceChildren(...shown.map(legendItem));

  const seek = $("seek");
  seek.max = duration;
  seek.oninput = () => go(Number(seek.value));
  const follow = () => {
    const time = player.currentTime;
    const now = segments.find(({ start, end }) => start <= time && time < end);
    $("cursor").style.left = place(time);
    seek.value = time;
    seek.setAttribute("aria-valuetext", `${clock(time)}${now ? `, ${now.label}` : ""}`);
    $("now").textContent = `${clock(time)} of ${clock(duration)}${now ? `: ${now.label}` : ""}`;
  };
  player.ontimeupdate = player.onseeking = follow;
  player.onplay = () => requestAnimationFrame(function move() { // timeupdate comes four times a second
    follow();
    if (!player.paused) requestAnimationFrame(move);
  });
  follow();
}

function curve(times, scores, duration, k) {
  const line = document.createElementNS(SVG, "polyline");
  const points = times.map((time, i) => [1000 * (time / (duration || 1)), 98 - 96 * scores[i]]);
  const ends = [[0, points[0][1]], ...points, [1000, points.at(-1)[1]]]; // the first and last speak for the ends
  line.setAttribute("points", ends.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
  line.setAttribute("class", `s${k}`);
  return line;
}

function legendItem(label, k) {
  const item = document.createElement("li");
  const swatch = document.createElementNS(SVG, "svg");
  const line = document.createElementNS(SVG, "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: 30, y1: 5, y2: 5, class: `s${k}` })) line.setAttribute(name, value);
  swatch.setAttribute("viewBox", "0 0 30 10");
  swatch.setAttribute("aria-hidden", "true");
  swatch.append(line);
  item.append(swatch, label);
  return item;
}
