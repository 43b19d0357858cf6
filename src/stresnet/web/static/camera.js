// Records from the camera: a promise of a Blob, or of null when the visitor closes it.
const LONGEST = 10; // seconds

export async function record($) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
  const view = $("camera-view");
  view.srcObject = stream;
  await view.play();
  const button = $("camera-record");
  button.textContent = "Record";
  button.focus();
  $("camera-clock").textContent = `up to ${LONGEST} seconds`;
  try {
    return await new Promise((resolve, reject) => {
      $("camera-close").onclick = () => resolve(null);
      button.onclick = () => {
        const parts = [];
        const recorder = new MediaRecorder(stream);
        recorder.ondataavailable = ({ data }) => parts.push(data);
        recorder.onerror = () => reject(new Error("recording failed"));
        recorder.onstop = () => resolve(new Blob(parts, { type: recorder.mimeType }));
        recorder.start();
        countDown(recorder, $("camera-clock"));
        button.textContent = "Stop and recognise";
        button.onclick = () => recorder.state === "recording" && recorder.stop();
      };
    });
  } finally {
    for (const track of stream.getTracks()) track.stop();
    view.srcObject = null;
  }
}

function countDown(recorder, clock) {
  const end = performance.now() + 1000 * LONGEST;
  const tick = () => {
    if (recorder.state !== "recording") return;
    const left = (end - performance.now()) / 1000;
    clock.textContent = `recording, ${Math.max(Math.ceil(left), 0)} seconds left`;
    if (left <= 0) recorder.stop();
    else setTimeout(tick, 200);
  };
  tick();
}
