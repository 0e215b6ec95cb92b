// Requests to the server: one at a time. Of the waiting requests only the latest is kept.

export class Asker {
  constructor(answered, failed) {
    this.answered = answered;
    this.failed = failed;
    this.waiting = null;
    this.busy = false;
    this.turn = 0;          // increases when the sheet is cleared; answers to earlier requests are dropped
  }

  // make: called when the request is sent, returns the picture. number: 0 to 9, or null if the network takes none.
  async ask(make, number) {
    this.waiting = { make, number };
    if (this.busy) return;
    this.busy = true;
    while (this.waiting) {
      const { make: blob, number: k } = this.waiting;
      this.waiting = null;
      const turn = this.turn;
      const [done, result] = await post(await blob(), k).then((answer) => [this.answered, answer], (fault) => [this.failed, fault]);
      if (turn === this.turn) done(result);
    }
    this.busy = false;
  }

  forget() {
    this.waiting = null;
    this.turn += 1;
  }
}

async function post(body, number, tries = 3) {
  const address = "predict?explain=true" + (number === null ? "" : `&number=${number}`);
  const headers = { "Content-Type": "application/octet-stream" };
  const answer = await fetch(address, { method: "POST", body, headers }).catch(() => {
    throw new Error("The server does not answer. Is it still running?");
  });
  if (answer.status === 503 && tries > 1) {
    await new Promise((go) => setTimeout(go, 1000 * Number(answer.headers.get("Retry-After") ?? 1)));
    return post(body, number, tries - 1);
  }
  const said = await answer.json().catch(() => ({ error: "The server's answer cannot be read. Is it still the same server?" }));
  if (!answer.ok) throw new Error(said.error);
  return said;
}
