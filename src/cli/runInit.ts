/** What `floodgate init` does: asks in a terminal, checks what it is about to write, and never writes over a file. */
import * as Prompt from "@effect/cli/Prompt"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import type * as Terminal from "@effect/platform/Terminal"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ConfigDecode from "../internal/configDecode.js"
import { placeOf } from "../internal/configProblem.js"
import { type Answers, exampleModels, keyVariableOf, template } from "../internal/configTemplate.js"
import * as ConfigYaml from "../internal/configYaml.js"
import { writeReasonOf } from "../internal/fileReason.js"
import { type Name, names, registry } from "../internal/providerRegistry.js"
import { CliError } from "./CliError.js"
import { wrong } from "./flags.js"
import type { InitFlags } from "./initCommand.js"

const isVariable = (name: string): boolean => /^[A-Za-z_]\w*$/.test(name)

/** What the flags say, and defaults. */
const fromFlags = (flags: InitFlags): Effect.Effect<Answers, CliError> => {
  const provider = flags.provider ?? "openai"
  const model = flags.model ?? exampleModels[provider]
  if (model === undefined) return wrong(`--model: name a model of ${registry[provider].vendor}`)
  return Effect.succeed({
    provider,
    model,
    keyVariable: flags.keyVariable ?? keyVariableOf(provider),
    baseUrl: flags.baseUrl
  })
}

/** What the flags say, and for the rest what somebody answers. */
const fromTerminal = (flags: InitFlags) =>
  Effect.gen(function* () {
    const provider: Name =
      flags.provider ??
      (yield* Prompt.run(
        Prompt.select({
          message: "Whose models?",
          choices: names.map((name) => ({ title: name, description: registry[name].vendor, value: name }))
        })
      ))
    const example = exampleModels[provider]
    const model =
      flags.model ??
      (yield* Prompt.run(
        Prompt.text({
          message: "Which model?",
          ...(example === undefined ? undefined : { default: example }),
          validate: (text) =>
            text.trim() === "" ? Effect.fail("A name is needed") : Effect.succeed(text.trim())
        })
      ))
    const usual = keyVariableOf(provider)
    const keyVariable =
      flags.keyVariable ??
      (usual === undefined
        ? undefined
        : yield* Prompt.run(
            Prompt.text({
              message: "Which variable holds the key?",
              default: usual,
              validate: (text) =>
                isVariable(text.trim())
                  ? Effect.succeed(text.trim())
                  : Effect.fail("The name of a variable, and not the key itself")
            })
          ))
    const baseUrl =
      flags.baseUrl ??
      (provider === "openai-compatible"
        ? yield* Prompt.run(
            Prompt.text({ message: "At which address?", default: "http://localhost:8000/v1" })
          )
        : undefined)
    return { provider, model, keyVariable, baseUrl }
  })

/** The file, once it is known to be one that can be read. */
const checked = (answers: Answers): Effect.Effect<string, CliError> => {
  const text = template(answers)
  const problems = Either.match(ConfigYaml.parse(text, "floodgate.yaml"), {
    onLeft: (problems) => problems,
    onRight: (parsed) =>
      Either.match(
        ConfigDecode.settings(parsed.fill(() => "x").raw, {
          origin: parsed.locate,
          written: parsed.written
        }),
        { onLeft: (problems) => problems, onRight: () => [] }
      )
  })
  const [first] = problems
  if (first !== undefined) {
    return wrong(`This would make no good file: ${first.path || placeOf(first.origin)}: ${first.message}`)
  }
  return Effect.succeed(text)
}

const isTaken = (error: PlatformError): boolean =>
  error._tag === "SystemError" && error.reason === "AlreadyExists"

const isTerminal = () => process.stdin.isTTY === true && process.stdout.isTTY === true

/** Writes the file, and gives what is to be said of it. */
export const writeConfig = (
  flags: InitFlags
): Effect.Effect<string, CliError, FileSystem.FileSystem | Path.Path | Terminal.Terminal> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const path = flags.path ?? "floodgate.yaml"
    const isThere = new CliError({
      message: `${path} is there already, and is left as it is; --path names another`
    })
    if (yield* Effect.orElseSucceed(fs.exists(path), () => false)) return yield* isThere
    if (flags.keyVariable !== undefined && !isVariable(flags.keyVariable)) {
      // the message does not repeat it: it may be the key
      return yield* wrong("--key-variable takes the name of a variable, and not the key itself")
    }
    // no answer is the answer to all that is asked
    const answers = yield* isTerminal()
      ? Effect.catchTag(fromTerminal(flags), "QuitException", () =>
          // what the shell writes next is on a line of its own
          Effect.zipRight(
            Effect.sync(() => void process.stdout.write("\n")),
            Effect.interrupt
          )
        )
      : fromFlags(flags)
    if (answers.provider === "openai-compatible" && answers.baseUrl === undefined) {
      return yield* wrong("--base-url: say where the server is, such as http://localhost:8000/v1")
    }
    const text = yield* checked(answers)
    const unwritten = (error: PlatformError) =>
      new CliError({ message: `${path} cannot be written: ${writeReasonOf(error)}`, cause: error })
    const folder = paths.dirname(path)
    yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true }), (error) =>
      isTaken(error)
        ? new CliError({ message: `${path} cannot be written: ${folder} is a file`, cause: error })
        : unwritten(error)
    )
    // who was quicker keeps it
    yield* fs.writeFileString(path, text, { flag: "wx" }).pipe(
      // a file of which the disk has not taken all would be in the way of the next attempt
      Effect.tapError((error) => (isTaken(error) ? Effect.void : Effect.ignore(fs.remove(path)))),
      Effect.mapError((error) => (isTaken(error) ? isThere : unwritten(error)))
    )
    const key =
      answers.keyVariable === undefined ? "" : ` Set ${answers.keyVariable}, in the environment or in .env.`
    return `${path} is written.${key}\nfloodgate test tries it, and floodgate config show tells what it comes to.`
  })

/** The same for the command line. */
export const runInit = (flags: InitFlags) =>
  Effect.flatMap(writeConfig(flags), (said) => Effect.sync(() => void process.stdout.write(`${said}\n`)))
