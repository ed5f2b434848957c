/** One request's way through a domain whose limits are shared. */
import type { LimitDomain } from "./limitDomain.js"
import { Ticket } from "./ticket.js"

export class SharedTicket extends Ticket {
  /** When the store booked it, by its clock. */
  bookedAt = 0
  /** When it was asked for, by ours. */
  askedAt = 0
  /** Its stand-in where this process went on alone. */
  standIn: { readonly domain: LimitDomain; readonly ticket: Ticket } | undefined
}
