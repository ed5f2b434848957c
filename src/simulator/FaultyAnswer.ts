/** What faults make of an answer: what it says, what becomes of its bytes, and how they are sent. */
import type { Fault } from "./Faults.js"
import type { Answer, Bent, Wire } from "./Wire.js"

/** How an answer is sent: whole, half and then cut, half and then nothing, or not at all. */
export type Delivery = "whole" | "truncate" | "stallMidway" | "stall" | "reset"

const half = (text: string): string => text.slice(0, Math.ceil(text.length / 2))

/** How the model bends its answer under a fault. */
export const bentBy = (fault: Fault | undefined): Bent => {
  switch (fault?.kind) {
    case "refusal":
    case "contentFilter":
    case "empty":
      return fault.kind
    default:
      return undefined
  }
}

/** How the answer is sent under a fault. */
export const deliveryOf = (fault: Fault | undefined): Delivery => {
  switch (fault?.kind) {
    case "reset":
    case "truncate":
      return fault.kind
    case "stall":
      return fault.midway === true ? "stallMidway" : "stall"
    default:
      return "whole"
  }
}

/** Bends the bytes of an answer where a fault says so. */
export const bend = (wire: Wire, body: Answer["body"], fault: Fault | undefined): Answer["body"] => {
  if (fault?.kind === "malformed") {
    if (typeof body === "string") return half(body)
    const middle = Math.floor(body.length / 2)
    return body.map((event, i) => (i === middle ? `${half(event.trimEnd())}\n\n` : event))
  }
  if (fault?.kind === "errorBody") {
    const error = wire.failure({ status: 500, message: fault.message }).body
    return typeof body === "string"
      ? error
      : [...body.slice(0, Math.floor(body.length / 2)), `data: ${error.replaceAll("\n", "")}\n\n`]
  }
  return body
}
