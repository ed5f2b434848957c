/**
 * Media that were fetched for requests without an answer yet, so that the next attempt does not fetch them again.
 * They are let go of with the answer, after some minutes, or when younger ones need the room.
 */

import type { Part } from "../Message.js"
import type { Chat } from "../Request.js"

/** Most characters that are kept, of all requests together. */
const most = 64 * 1024 * 1024
/** How long a medium counts as what its URL holds, in milliseconds. */
const lifetime = 10 * 60 * 1000

interface Medium {
  readonly data: string
  readonly at: number
}

export class FetchedMedia {
  // a part of a message stays one object, in whatever requests it goes; the oldest come first
  readonly #media = new Map<Part, Medium>()
  #size = 0

  /** What was fetched for this part, as a `data:` URL. `now` is in milliseconds. */
  get(part: Part, now: number): string | undefined {
    const medium = this.#media.get(part)
    return medium === undefined || now - medium.at > lifetime ? undefined : medium.data
  }

  set(part: Part, data: string, now: number): void {
    this.#drop(part)
    this.#media.set(part, { data, at: now })
    this.#size += data.length
    for (const [oldest, { at }] of this.#media) {
      if (this.#size <= most && now - at <= lifetime) return
      this.#drop(oldest)
    }
  }

  /** The chat has its answer. */
  forget({ messages }: Chat): void {
    for (const { content } of messages) {
      if (Array.isArray(content)) for (const part of content) this.#drop(part)
    }
  }

  #drop(part: Part): void {
    this.#size -= this.#media.get(part)?.data.length ?? 0
    this.#media.delete(part)
  }
}
