/** Where the row of each index of this run stands: 16 bytes an index. */

export interface Slot {
  /** Which file: the output, or the scratch file of lines that changed. */
  readonly moved: boolean
  readonly offset: number
  readonly bytes: number
}

export interface RowSlots {
  readonly has: (index: number) => boolean
  readonly set: (index: number, slot: Slot) => void
  /** Only for an index that `has` a row. */
  readonly get: (index: number) => Slot
}

const recordBytes = 16
const Offset = 0
const Bytes = 8
const State = 12

const Filled = 1
const Moved = 2

export const make = (): RowSlots => {
  let slots = new DataView(new ArrayBuffer(1024 * recordBytes))
  const state = (index: number) => {
    const at = index * recordBytes
    return at < slots.byteLength ? slots.getUint32(at + State, true) : 0
  }
  return {
    has: (index) => state(index) !== 0,
    set: (index, slot) => {
      const at = index * recordBytes
      if (at >= slots.byteLength) {
        const larger = new Uint8Array(Math.max(slots.byteLength * 2, at + recordBytes))
        larger.set(new Uint8Array(slots.buffer))
        slots = new DataView(larger.buffer)
      }
      slots.setFloat64(at + Offset, slot.offset, true)
      slots.setUint32(at + Bytes, slot.bytes, true)
      slots.setUint32(at + State, slot.moved ? Filled | Moved : Filled, true)
    },
    get: (index) => {
      const at = index * recordBytes
      return {
        moved: (slots.getUint32(at + State, true) & Moved) !== 0,
        offset: slots.getFloat64(at + Offset, true),
        bytes: slots.getUint32(at + Bytes, true)
      }
    }
  }
}
