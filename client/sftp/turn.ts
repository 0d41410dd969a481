/**
 * Runs something once, when all that has come in is dealt with, however often it is wanted until then. Not a microtask: those run
 * between one answer's consequences and the next one's, and small files took a socket write for each request.
 */
export class Turn {
  readonly #run: () => void;
  #isComing = false;

  constructor(run: () => void) {
    this.#run = run;
  }

  wanted(): void {
    if (this.#isComing) return;
    this.#isComing = true;
    setImmediate(() => {
      this.#isComing = false;
      this.#run();
    });
  }
}
