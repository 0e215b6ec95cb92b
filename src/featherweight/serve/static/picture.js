// Opens a picture file and makes a large one smaller before it is sent.

const LARGEST = 1024;               // side in pixels; the network needs about 28, so more only takes time
const LIMIT = 5_000_000;            // bytes that the server accepts
const MAY_BE_CLEAR = ["image/png", "image/gif", "image/webp"];     // may be transparent, which JPEG cannot store

// Returns {picture, file}: what is shown and what is sent. picture is null if this browser cannot show the file.
// The file is then sent as it is, and the server decides if it can be read.
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

// Returns the first file of a drop or a paste, or null.
export function fileOf(transfer) {
  return [...(transfer?.files ?? [])][0] ?? null;
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
