/** `floodgate init` */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { type Name, names } from "../internal/providerRegistry.js"
import * as Flag from "./flags.js"

const options = {
  path: Flag.text(
    "path",
    "FILE",
    "The file to write; one that is there is left as it is. Default: floodgate.yaml"
  ),
  provider: Flag.optional(
    Flag.choice(
      "provider",
      Object.fromEntries(names.map((name) => [name, name])) as Readonly<Record<Name, Name>>
    ).pipe(
      Options.withPseudoName("NAME"),
      Options.withDescription(`Whose models: ${names.join(", ")}. Default: openai`)
    )
  ),
  model: Flag.text("model", "NAME", "The model to ask"),
  keyVariable: Flag.text(
    "key-variable",
    "NAME",
    "The variable that holds the key. Default: the provider's own"
  ),
  baseUrl: Flag.text("base-url", "URL", "Address of the API. Default: the provider's own")
}

export type InitFlags = Command.Command.ParseConfig<typeof options>

/** The command; what it does is loaded when it runs. */
export const initCommand = Command.make("init", options).pipe(
  Command.withDescription("Write a floodgate.yaml with comments; asks for what it needs in a terminal")
)
