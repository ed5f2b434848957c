/** In which line of a file a byte is, counted on what is read of it. */

const newline = 10

export interface LineCounter {
  /** What has been read next. */
  readonly add: (block: Uint8Array) => void
  /** How many lines end before this byte of the file. It must not be before the last one that was asked for. */
  readonly endedBefore: (offset: number) => number
}

export const make = (): LineCounter => {
  // what has not been counted yet
  let blocks: Array<Uint8Array> = []
  let position = 0
  let ended = 0
  return {
    add: (block) => {
      blocks.push(block)
    },
    endedBefore: (offset) => {
      while (position < offset) {
        const [block] = blocks
        if (block === undefined) break
        const stop = Math.min(block.length, offset - position)
        for (let at = block.indexOf(newline); at !== -1 && at < stop; at = block.indexOf(newline, at + 1)) {
          ended++
        }
        position += stop
        const rest = block.subarray(stop)
        blocks = rest.length === 0 ? blocks.slice(1) : [rest, ...blocks.slice(1)]
      }
      return ended
    }
  }
}
