/** Questions to a person. The client layer asks; who shows them, and where, is decided above. */

export interface PromptRequest {
  readonly text: string;
  readonly echo: boolean;
  /** What the answer is for; the same purpose is not asked for twice at a time. */
  readonly purpose: string;
}

export interface Prompter {
  /** The answer, or undefined when there is nobody to ask or the question was turned away. */
  ask(request: PromptRequest, signal?: AbortSignal): Promise<string | undefined>;
  /** Shows a text that belongs to the questions that follow. */
  tell(text: string): void;
}
