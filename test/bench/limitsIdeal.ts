/** What a scheduler without flaw would have made of the same requests. */

/** One attempt as the server's log has it, in milliseconds. */
export interface Attempt {
  readonly took: number
  /** How long the server told to wait before the next one; 0 if it told nothing. */
  readonly hint: number
}

/** A heap of times, earliest first. */
class Times {
  readonly #heap: Array<{ readonly at: number; readonly request: number }> = []

  get size(): number {
    return this.#heap.length
  }

  get earliest(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  push(at: number, request: number): void {
    const heap = this.#heap
    let index = heap.push({ at, request }) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]
      const here = heap[index]
      if (above === undefined || here === undefined || above.at <= here.at) break
      heap[parent] = here
      heap[index] = above
      index = parent
    }
  }

  pop(): { readonly at: number; readonly request: number } | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    heap[0] = last
    let index = 0
    for (;;) {
      let least = index
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if ((heap[child]?.at ?? Number.POSITIVE_INFINITY) < (heap[least]?.at ?? 0)) least = child
      }
      const here = heap[index]
      const below = heap[least]
      if (least === index || here === undefined || below === undefined) return top
      heap[index] = below
      heap[least] = here
      index = least
    }
  }
}

/**
 * The wall time, in milliseconds, of an ideal scheduler over the same attempts: each request meets the very failures
 * that it met, and each of its attempts takes as long as it took. A refused attempt is made again the moment its hint
 * is over, one that failed without a hint at once; nobody waits for another's hint, no place is idle while a request
 * has not begun, and nothing is spent on the client's side.
 *
 * No more than `concurrency` requests are under way. With `holdsPlace` that is what the option of a batch means: who
 * waits for a hint is under way. Without, only attempts in flight count, and those that were refused come before the
 * requests that have not begun.
 */
export const idealMillis = (
  requests: ReadonlyArray<ReadonlyArray<Attempt>>,
  options: { readonly concurrency: number; readonly holdsPlace: boolean }
): number => {
  const waiting = new Times()
  const running = new Times()
  const made = requests.map(() => 0)
  let next = 0
  let now = 0
  const start = (request: number) =>
    running.push(now + (requests[request]?.[made[request] ?? 0]?.took ?? 0), request)
  const room = () => options.concurrency - running.size - (options.holdsPlace ? waiting.size : 0)
  const mayRestart = () => options.holdsPlace || room() > 0
  for (;;) {
    while (waiting.earliest <= now && mayRestart()) start(waiting.pop()?.request ?? 0)
    while (room() > 0 && next < requests.length) start(next++)
    if (running.size === 0 && waiting.size === 0) return now
    now = Math.min(
      running.earliest,
      mayRestart() ? Math.max(now, waiting.earliest) : Number.POSITIVE_INFINITY
    )
    if (running.earliest > now) continue
    const ended = running.pop()?.request ?? 0
    const attempt = requests[ended]?.[made[ended] ?? 0]
    made[ended] = (made[ended] ?? 0) + 1
    if ((made[ended] ?? 0) < (requests[ended]?.length ?? 0)) waiting.push(now + (attempt?.hint ?? 0), ended)
  }
}
