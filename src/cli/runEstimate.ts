/** What `floodgate estimate` does: all that a run does before it sends anything. */
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Checkpoint from "../Checkpoint.js"
import * as Estimate from "../Estimate.js"
import { format as formatProblem } from "../internal/configProblem.js"
import type { Configured } from "../internal/configServices.js"
import { toDollars } from "../Prices.js"
import * as AskedRows from "./askedRows.js"
import { cacheFileOf, checkFlags, servicesOf, settingsOf } from "./batchLayers.js"
import * as RunBudget from "./budget.js"
import { whileBusy } from "./busyNote.js"
import { CliError, from } from "./CliError.js"
import { checkInput } from "./checkInput.js"
import * as EstimateBudget from "./estimateBudget.js"
import type { EstimateFlags } from "./estimateCommand.js"
import { checkpointOf, formatsOf } from "./fileFormat.js"
import { checkPositive, wrong } from "./flags.js"
import * as InputFile from "./inputFile.js"
import type * as InputRows from "./inputRows.js"
import * as Questions from "./questions.js"
import * as RowSelection from "./rowSelection.js"
import { texts } from "./runEmbed.js"
import { checkSamples } from "./samples.js"
import { stdin } from "./stdin.js"

/** What is asked: chats, or with `--embed` texts. The flags of the other kind are a slip. */
const questionsOf = (flags: EstimateFlags): Effect.Effect<Questions.Questions, CliError> =>
  Effect.gen(function* () {
    const ofOthers = flags.embed
      ? ({
          prompt: flags.prompt,
          system: flags.system,
          temperature: flags.temperature,
          "max-tokens": flags.maxTokens,
          samples: flags.samples
        } as const)
      : ({ text: flags.text, dimensions: flags.dimensions, purpose: flags.purpose } as const)
    const [slip] = Object.entries(ofOthers).filter(([, value]) => value !== undefined)
    if (slip !== undefined) {
      return yield* wrong(
        flags.embed ? `--${slip[0]} is about chats, not about --embed` : `--${slip[0]} goes with --embed`
      )
    }
    yield* checkPositive("max-tokens", flags.maxTokens)
    yield* checkPositive("dimensions", flags.dimensions)
    yield* checkSamples(flags.samples)
    return flags.embed ? texts({ ...flags, encoding: undefined }) : Questions.chats(flags)
  })

/** The settings, with nothing that would be made or reached for: a cache that is not there, shared limits. */
const idle = (configured: Configured): Effect.Effect<Configured, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { loaded } = configured
    const file = cacheFileOf(configured)
    const isMissing = file !== undefined && !(yield* Effect.orElseSucceed(fs.exists(file), () => false))
    const { cache, limiter: _, ...settings } = loaded.settings
    const { store: __, ...rest } = cache ?? {}
    return {
      ...configured,
      loaded: { ...loaded, settings: { ...settings, cache: isMissing ? rest : cache } }
    }
  })

/** What an earlier run has left of the output; nothing where there is none. */
const checkpointOfRun = (
  flags: EstimateFlags
): Effect.Effect<Context.Tag.Service<Checkpoint.Checkpoint>, CliError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { output } = flags
    const path = output === undefined ? undefined : checkpointOf({ ...flags, output })
    const isThere = path !== undefined && (yield* Effect.orElseSucceed(fs.exists(path), () => false))
    const layer = isThere ? Checkpoint.layerFile(path) : Checkpoint.layerNone
    return Context.get(
      yield* Effect.mapError(
        Layer.build(layer),
        (error) => new CliError({ message: error.message, cause: error })
      ),
      Checkpoint.Checkpoint
    )
  })

/** What programs read: amounts are numbers of US dollars. */
const asJson = (value: object): string =>
  JSON.stringify(value, (_, part) => (typeof part === "bigint" ? toDollars(part) : part), 2)

const verdictData = ({ ceiling, earlier, missing, unit, verdict }: EstimateBudget.Verdict) => {
  const number = (amount: bigint) => (unit === "usd" ? toDollars(amount) : Number(amount))
  return {
    unit,
    verdict,
    ceiling: number(ceiling),
    earlier: number(earlier),
    missing: { low: number(missing.low), high: number(missing.high) }
  }
}

export const runEstimate = (
  flags: EstimateFlags
): Effect.Effect<void, CliError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    yield* checkFlags(flags)
    const questions = yield* questionsOf(flags)
    yield* checkPositive("typical-answer", flags.typicalAnswer)
    yield* checkPositive("longest-answer", flags.longestAnswer)
    const selection = yield* RowSelection.parse(flags)
    yield* InputFile.check(flags.input)
    const configured = yield* Effect.flatMap(settingsOf(flags), idle)
    const budget = yield* RunBudget.make(flags, configured)
    if (flags.output === undefined && selection.filter.ofStored !== undefined) {
      return yield* wrong("--filter status and error are about an earlier run: name its output with --output")
    }
    const files = { ...flags, output: flags.output ?? "" }
    const input: InputRows.Input = {
      path: yield* InputFile.open(flags.input, stdin),
      name: InputFile.nameOf(flags.input),
      format: formatsOf(files).input
    }
    const checkpoint = yield* checkpointOfRun(flags)
    const { options, router, warnings } = configured
    const checked = yield* checkInput({
      input,
      flags: files,
      questions,
      selection,
      checkpoint,
      router: {
        ...router,
        resolve: (request) => router.resolve(request, request.task ?? options.task)
      },
      wantsColumns: false,
      onDone: () => {}
    }).pipe(Effect.mapError(from), whileBusy(`Reading ${input.name} …`, !flags.json))
    const asked = AskedRows.make({ input, questions, selection, checked })
    const services = yield* Layer.build(servicesOf(configured))
    const estimate = yield* Estimate.estimate(asked.requests, {
      cache: options.cache,
      task: options.task,
      typicalAnswer: flags.typicalAnswer,
      longestAnswer: flags.longestAnswer,
      batch: flags.providerBatch
    }).pipe(Effect.provide(services), whileBusy("Counting tokens …", !flags.json))
    const verdicts =
      budget === undefined ? [] : EstimateBudget.verdicts(estimate, budget, checkpoint.spending)
    const answered = checked.total - checked.left
    const lines = [
      ...(answered > 0
        ? [`${answered.toLocaleString("en-US")} answered by ${files.output} are left out`]
        : []),
      Estimate.table(estimate),
      ...verdicts.map((verdict) => EstimateBudget.told(verdict, estimate.unpriced))
    ]
    yield* Effect.sync(() => {
      for (const warning of warnings) process.stderr.write(`${formatProblem(warning)}\n`)
      process.stdout.write(
        `${flags.json ? asJson({ ...estimate, answered, budget: verdicts.map(verdictData) }) : lines.join("\n")}\n`
      )
    })
  })
