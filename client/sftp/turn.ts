/** Runs something once, soon, however often it is wanted until then. */
export class Turn {
  readonly #run: () => void;
  #isComing = false;

  constructor(run: () => void) {
    this.#run = run;
  }

  wanted(): void {
    if (this.#isComing) return;
    this.#isComing = true;
    queueMicrotask(() => {
      this.#isComing = false;
      this.#run();
    });
  }
}
