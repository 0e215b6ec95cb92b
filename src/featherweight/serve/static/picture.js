// A file that was chosen, dropped, pasted or photographed -> what is shown and what is sent.

const LARGEST = 1024;               // side in pixels; the network sees 28, so more only takes time
const LIMIT = 5_000_000;            // bytes that the server takes
const MAY_BE_CLEAR = ["image/png", "image/gif", "image/webp"];     // kinds that a JPEG would rob of their transparency

// {picture, file}: the picture is null where this browser cannot show it; the server then says what it makes of it.
export async function open(file) {
  const whole = await createImageBitmap(file).catch(() => null);
  if (!whole) {
    if (file.size > LIMIT) throw new Error(`${file.name} has ${megabytes(file.size)}, and 5 MB are allowed. Shrink it.`);
    return { picture: null, file };
  }
  const scale = LARGEST / Math.max(whole.width, whole.height);
  if (scale >= 1 && file.size < 1_000_000) return { picture: whole, file };
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(whole.width * Math.min(1, scale)));
  canvas.height = Math.max(1, Math.round(whole.height * Math.min(1, scale)));
  canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
  const kind = MAY_BE_CLEAR.includes(file.type) ? "image/png" : "image/jpeg";
  return { picture: canvas, file: await new Promise((done) => canvas.toBlob(done, kind, 0.92)) };
}

// The first file of a drop or a paste, if there is one.
export function fileOf(transfer) {
  return [...(transfer?.files ?? [])][0] ?? null;
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
