/** The level of the log that the command line asks for. */
import * as FiberRef from "effect/FiberRef"
import * as GlobalValue from "effect/GlobalValue"

/** What `--log-level` says, as it is written; it goes before what the settings say. */
export const GivenLogLevel: FiberRef.FiberRef<string | undefined> = GlobalValue.globalValue(
  "floodgate/cli/GivenLogLevel",
  () => FiberRef.unsafeMake<string | undefined>(undefined)
)
