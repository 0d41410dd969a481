/**
 * Runs something once, however often it is wanted until then: with `process.nextTick` when what came in one piece is dealt
 * with, with `setImmediate` when all that has come in is. Not a microtask: those run between one answer's consequences and the
 * next one's, and small files took a socket write for each request.
 */
export class Turn {
  readonly #run: () => void;
  readonly #later: (act: () => void) => void;
  #isComing = false;

  constructor(run: () => void, later: (act: () => void) => void) {
    this.#run = run;
    this.#later = later;
  }

  wanted(): void {
    if (this.#isComing) return;
    this.#isComing = true;
    this.#later(() => {
      this.#isComing = false;
      this.#run();
    });
  }
}
