/** `floodgate chat` */
import * as Command from "@effect/cli/Command"
import * as Flag from "./flags.js"
import { calls, parameters, shown, where } from "./oneRequestFlags.js"

const options = {
  ...parameters,
  load: Flag.text("load", "FILE", "Go on with a conversation that /save has written"),
  history: Flag.text("history", "FILE", "Keep the lines that are typed in this file, for the arrow keys"),
  ...where,
  ...shown,
  ...calls,
  cache: Flag.text(
    "cache",
    "PATH|URL|memory",
    "Where answers are kept, to be had again for nothing. Default: nowhere; the same words are answered anew"
  )
}

/** What the command line says, as it was written. */
export type ChatFlags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const chatCommand = Command.make("chat", options).pipe(
  Command.withDescription("Talk with a model, turn by turn; each line that is piped in is a turn")
)
