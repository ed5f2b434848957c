/**
 * Thoughts that an open model writes into its answer: `<think>…</think>`, then the answer. They are told apart only
 * at the answer's beginning; a tag further on is text, as a model that writes about tags means it.
 */

/**
 * - `"answer"`: the answer begins with `<think>`. In a whole answer, a `</think>` on a line of its own without a
 *   `<think>` before it ends thoughts as well: the chat template had begun them. In a stream it comes too late to be
 *   told.
 * - `"template"`: the chat template always begins the thoughts, so that they reach to the first `</think>`. A stream
 *   is held back until it has come.
 */
export type ThinkTags = "answer" | "template"

/** A text, taken apart. */
export interface Split {
  readonly reasoning: string
  readonly text: string
}

const nothing: Split = { reasoning: "", text: "" }

const opening = "<think>"
const closing = "</think>"

/** Empty lines stand around the tags, and are no one's text. */
const trimmed = (reasoning: string, text: string): Split => ({
  reasoning: reasoning.trim(),
  text: text.trimStart()
})

/** Where the thoughts end that the chat template began; -1 if it began none. */
const templateEnd = (text: string, tags: ThinkTags): number => {
  const end = text.indexOf(closing)
  if (end === -1 || tags === "template") return end
  const start = text.indexOf(opening)
  if (start !== -1 && start < end) return -1
  const standsAlone =
    /(^|\n)[ \t]*$/.test(text.slice(0, end)) && /^[ \t]*(\n|$)/.test(text.slice(end + closing.length))
  return standsAlone ? end : -1
}

/** Takes a whole answer apart. `cut`: it ended for want of tokens, which may have been in its thoughts. */
export const split = (text: string, tags: ThinkTags, cut: boolean): Split => {
  const start = text.trimStart()
  if (start.startsWith(opening)) {
    const end = start.indexOf(closing)
    return end === -1
      ? trimmed(start.slice(opening.length), "")
      : trimmed(start.slice(opening.length, end), start.slice(end + closing.length))
  }
  const end = templateEnd(text, tags)
  if (end !== -1) return trimmed(text.slice(0, end), text.slice(end + closing.length))
  return tags === "template" && cut ? trimmed(text, "") : { reasoning: "", text }
}

/** How many characters at the end of `text` may be the beginning of `tag`. */
const partOf = (tag: string, text: string): number => {
  for (let length = Math.min(tag.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(tag.slice(0, length))) return length
  }
  return 0
}

/** Takes an answer apart that comes bit by bit; its pieces may end anywhere, within a tag too. */
export class Splitter {
  readonly #tags: ThinkTags
  #state: "begin" | "template" | "thoughts" | "after" | "text" = "begin"
  /** What may yet become a tag. */
  #held = ""
  /** Blanks at the end of the thoughts so far: kept back, as they may be the last. */
  #blanks = ""
  #thought = false

  constructor(tags: ThinkTags) {
    this.#tags = tags
  }

  /** What the next piece brings, of either kind. */
  push(piece: string): Split {
    if (this.#state === "text") return { reasoning: "", text: piece }
    this.#held += piece
    if (this.#state === "begin") this.#begin()
    if (this.#state === "template") {
      const end = this.#held.indexOf(closing)
      return end === -1
        ? nothing
        : this.#leave(this.#held.slice(0, end), this.#held.slice(end + closing.length))
    }
    if (this.#state === "thoughts") return this.#think()
    return this.#answer()
  }

  /** What was held back, once the answer is whole; `cut` as in {@link split}. */
  end(cut: boolean): Split {
    const held = this.#held
    this.#held = ""
    switch (this.#state) {
      case "thoughts":
        return { reasoning: this.#reasoning(held), text: "" }
      case "template":
        return cut ? trimmed(held, "") : { reasoning: "", text: held }
      case "begin":
        // blanks alone, or the beginning of a tag that never was one
        return this.#tags === "template" && cut ? trimmed(held, "") : { reasoning: "", text: held }
      default:
        return { reasoning: "", text: held }
    }
  }

  #begin(): void {
    const start = this.#held.trimStart()
    if (start.startsWith(opening)) {
      this.#state = "thoughts"
      this.#held = start.slice(opening.length)
    } else if (!opening.startsWith(start)) {
      this.#state = this.#tags === "template" ? "template" : "text"
    }
  }

  #think(): Split {
    const end = this.#held.indexOf(closing)
    if (end !== -1) return this.#leave(this.#held.slice(0, end), this.#held.slice(end + closing.length))
    const keep = partOf(closing, this.#held)
    const sure = this.#held.slice(0, this.#held.length - keep)
    this.#held = this.#held.slice(this.#held.length - keep)
    return { reasoning: this.#reasoning(sure), text: "" }
  }

  /** More thoughts, without blanks at either end of all of them. */
  #reasoning(more: string): string {
    const all = this.#blanks + more
    const begun = this.#thought ? all : all.trimStart()
    const whole = begun.trimEnd()
    this.#blanks = begun.slice(whole.length)
    if (whole !== "") this.#thought = true
    return whole
  }

  #leave(thoughts: string, rest: string): Split {
    this.#state = "after"
    this.#held = rest
    const reasoning = this.#reasoning(thoughts)
    return { reasoning, text: this.#answer().text }
  }

  #answer(): Split {
    if (this.#state === "begin") return nothing
    const text = this.#state === "after" ? this.#held.trimStart() : this.#held
    this.#held = ""
    if (text !== "") this.#state = "text"
    return { reasoning: "", text }
  }
}
