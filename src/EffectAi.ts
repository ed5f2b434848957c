/**
 * The `LanguageModel` and the `EmbeddingModel` of `@effect/ai`, answered by floodgate: an app that is written against
 * them gains limits, cache, routing and retries without a change to its code.
 *
 * An entry point of its own (`floodgate/EffectAi`): `@effect/ai` is an optional peer, and nothing else here needs it.
 *
 * @example
 * import * as LanguageModel from "@effect/ai/LanguageModel"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { OpenAILive } from "floodgate"
 * import * as EffectAi from "floodgate/EffectAi"
 *
 * const app = LanguageModel.generateText({ prompt: "Why is the sky blue?" }).pipe(
 *   Effect.map((response) => response.text)
 * )
 *
 * const model = EffectAi.layerLanguageModel({ parameters: { maxTokens: 200 } })
 * Effect.runPromise(app.pipe(Effect.provide(Layer.provide(model, OpenAILive))))
 *
 * @module
 */
import * as AiError from "@effect/ai/AiError"
import * as EmbeddingModel from "@effect/ai/EmbeddingModel"
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Telemetry from "@effect/ai/Telemetry"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Span } from "effect/Tracer"
import { Cache } from "./Cache.js"
import { complete } from "./Complete.js"
import * as Completer from "./internal/completer.js"
import * as ToChat from "./internal/effectAiPrompt.js"
import * as FromResponse from "./internal/effectAiResponse.js"
import * as FromSchema from "./internal/effectAiSchema.js"
import * as Turns from "./internal/effectAiTurns.js"
import { LlmError } from "./LlmError.js"
import type { ImagePart, ReasoningPart, TextPart } from "./Message.js"
import { Providers } from "./Providers.js"
import { RateLimiter } from "./RateLimiter.js"
import { type ChatFields, chatFromFields, Embedding } from "./Request.js"
import type { ChatResponse, Choice, Meta } from "./Response.js"
import { RetryPolicy } from "./Retry.js"
import { Router } from "./Router.js"
import { stream } from "./Streaming.js"
import type { StreamPart } from "./StreamPart.js"
import type { Usage } from "./Usage.js"

/** The fields of a chat that `@effect/ai` has no name for. */
export interface Parameters extends Omit<ChatFields, "messages" | "tools" | "toolChoice" | "responseFormat"> {
  /** Tools beside those of the toolkit, which the provider runs by itself: `{ type: "provider", value: … }`. */
  readonly tools?: ChatFields["tools"]
}

/**
 * Parameters of the calls of one effect, over those of the layer.
 *
 * @example
 * import * as LanguageModel from "@effect/ai/LanguageModel"
 * import * as Effect from "effect/Effect"
 * import * as EffectAi from "floodgate/EffectAi"
 *
 * const precise = LanguageModel.generateText({ prompt: "2 + 2 = ?" }).pipe(
 *   Effect.provideService(EffectAi.CurrentParameters, { temperature: 0, cache: { mode: "refresh" } })
 * )
 */
export class CurrentParameters extends Context.Reference<CurrentParameters>()(
  "floodgate/EffectAi/CurrentParameters",
  { defaultValue: (): Parameters => ({}) }
) {}

/** How requests are made, as of `complete`. */
export interface LanguageModelOptions extends Completer.Options {
  /** The model. Default: the endpoint's own. */
  readonly model?: string | undefined
  /** What every chat is asked with. */
  readonly parameters?: Parameters | undefined
  /** How often an object that does not fit its schema is asked for again. Default 2. */
  readonly corrections?: number | undefined
}

/** How requests are made, as of `complete`. */
export interface EmbeddingModelOptions extends Completer.Options {
  /** The model. Default: the endpoint's own. */
  readonly model?: string | undefined
  /** What every request is asked with. */
  readonly parameters?: Omit<ConstructorParameters<typeof Embedding>[0], "input" | "model"> | undefined
}

/** What the `finish` part of an answer tells under `metadata.floodgate`: of a streamed one, what the stream told. */
export type FinishMetadata = Partial<Meta> & {
  readonly provider?: string
  readonly rawFinishReason?: string
  readonly serviceTier?: string
  /** Why the model would not answer. */
  readonly refusal?: string
  readonly logprobs?: unknown
  readonly alternatives?: ReadonlyArray<Choice>
  /** The usage with all its classes. */
  readonly usage?: Usage
  /** What the provider could not do, where the request had it dropped. */
  readonly warnings?: ReadonlyArray<string>
}

type CacheMark = { readonly promptCache?: TextPart["promptCache"] }
type FileMarks = CacheMark & { readonly detail?: ImagePart["detail"] }
type Thought = ReasoningPart
type Proof = { readonly signature?: string }

declare module "@effect/ai/Prompt" {
  interface SystemMessageOptions {
    readonly floodgate?: CacheMark | undefined
  }
  interface TextPartOptions {
    readonly floodgate?: CacheMark | undefined
  }
  interface FilePartOptions {
    readonly floodgate?: FileMarks | undefined
  }
  interface ReasoningPartOptions {
    /** The thought as the provider gave it: the metadata of the part of the response. */
    readonly floodgate?: Thought | undefined
  }
  interface ToolCallPartOptions {
    readonly floodgate?: Proof | undefined
  }
}

declare module "@effect/ai/Response" {
  interface ReasoningPartMetadata {
    readonly floodgate?: Thought | undefined
  }
  interface ReasoningEndPartMetadata {
    readonly floodgate?: Thought | undefined
  }
  interface ToolCallPartMetadata {
    readonly floodgate?: Proof | undefined
  }
  interface FinishPartMetadata {
    readonly floodgate?: FinishMetadata | undefined
  }
}

/** Names this module in the errors of `@effect/ai`. */
const module = "floodgate/EffectAi"

const toAiError =
  (method: string) =>
  (cause: LlmError): AiError.AiError => {
    const told = { module, method, description: `${cause._tag}: ${cause.message}`, cause }
    switch (cause._tag) {
      case "InvalidRequestError":
      case "UnsupportedError":
      case "ContextLengthError":
      case "RequestTooLargeError":
        return new AiError.MalformedInput(told)
      case "InvalidOutputError":
        return new AiError.MalformedOutput(told)
      default:
        return new AiError.UnknownError(told)
    }
  }

const isLlmError = Schema.is(LlmError)

/**
 * The error behind one of `@effect/ai`, with its class, status, request id and wait hint.
 *
 * What the request is to blame for is a `MalformedInput`, an answer that cannot be read a `MalformedOutput`, and
 * everything else an `UnknownError`: the HTTP errors of `@effect/ai` have no room for a cause.
 *
 * @example
 * import * as LanguageModel from "@effect/ai/LanguageModel"
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import * as EffectAi from "floodgate/EffectAi"
 *
 * const answer = LanguageModel.generateText({ prompt: "Hi" }).pipe(
 *   Effect.map((response) => response.text),
 *   Effect.catchIf(
 *     (error) => Option.exists(EffectAi.llmError(error), ({ _tag }) => _tag === "ContentFilterError"),
 *     () => Effect.succeed("That cannot be answered.")
 *   )
 * )
 */
export const llmError = (error: AiError.AiError): Option.Option<LlmError> =>
  "cause" in error && isLlmError(error.cause) ? Option.some(error.cause) : Option.none()

/** The services of the layer, whatever others the caller has. */
const servicesOf = (context: Context.Context<Completer.Services>) =>
  Context.pick(Providers, Cache, RateLimiter, Router, RetryPolicy)(context)

/** How many turns are remembered for the proofs that `@effect/ai` drops from its histories. */
const mostTurns = 1_000

/**
 * The `LanguageModel` of `@effect/ai`: texts, streams, objects, tools, files. Give it what `complete` needs.
 *
 * Objects are asked for again if they do not fit. What providers want back with a turn, proofs of thoughts and tool
 * calls, is in the metadata of the parts; for histories that have lost it, as those of `Prompt.fromResponseParts` and
 * `Chat` do, the last 1000 turns are remembered. What a chat has no counterpart for is a `MalformedInput`, or left out
 * where the parameters say `unsupported: "drop"`.
 *
 * @example
 * import * as LanguageModel from "@effect/ai/LanguageModel"
 * import * as Effect from "effect/Effect"
 * import { Mock } from "floodgate"
 * import * as EffectAi from "floodgate/EffectAi"
 *
 * const test = LanguageModel.generateText({ prompt: "2 + 2 = ?" }).pipe(
 *   Effect.provide(EffectAi.layerLanguageModel()),
 *   Effect.provide(Mock.layer(() => "4"))
 * )
 */
export const layerLanguageModel = (
  options: LanguageModelOptions = {}
): Layer.Layer<LanguageModel.LanguageModel, never, Completer.Services> =>
  Layer.effect(LanguageModel.LanguageModel, makeLanguageModel(options))

const makeLanguageModel = Effect.fnUntraced(function* ({
  corrections = 2,
  model,
  parameters,
  ...run
}: LanguageModelOptions) {
  const services = servicesOf(yield* Effect.context<Completer.Services>())
  const turns = Turns.make(mostTurns)

  const chatOf = Effect.fnUntraced(function* (asked: LanguageModel.ProviderOptions) {
    const { tools: ownTools = [], ...fields }: Parameters = {
      ...(model === undefined ? undefined : { model }),
      ...parameters,
      ...(yield* CurrentParameters)
    }
    const drop = fields.unsupported === "drop"
    const tools = [...ownTools, ...(yield* ToChat.tools(asked.tools, { drop }))]
    const toolChoice = asked.tools.length === 0 ? undefined : ToChat.toolChoice(asked.toolChoice)
    const chat = yield* chatFromFields({
      ...fields,
      messages: yield* ToChat.messages(asked.prompt, { drop, turns }),
      ...(tools.length === 0 ? undefined : { tools }),
      ...(toolChoice === undefined ? undefined : { toolChoice })
    })
    const { maxTokens, seed, temperature, topK, topP } = chat
    Telemetry.addGenAIAnnotations(asked.span, {
      operation: { name: "chat" },
      request: { model: chat.model, temperature, topK, topP, maxTokens, seed }
    })
    return asked.responseFormat.type === "text"
      ? chat
      : yield* FromSchema.withSchema(chat, asked.responseFormat, corrections)
  })

  return yield* LanguageModel.make({
    generateText: (asked) =>
      chatOf(asked).pipe(
        Effect.flatMap((chat) => complete(chat, run)),
        Effect.tap((response) => annotateWhole(asked.span, response)),
        Effect.flatMap((response) => FromResponse.parts(response, turns)),
        Effect.mapError(toAiError(asked.responseFormat.type === "text" ? "generateText" : "generateObject")),
        Effect.provide(services)
      ),
    streamText: (asked) =>
      Stream.unwrap(
        Effect.map(chatOf(asked), (chat) => {
          const reader = new FromResponse.Reader(turns)
          return Stream.mapConcatEffect(stream(chat, run), (part) => {
            annotatePart(asked.span, part)
            return reader.read(part)
          })
        })
      ).pipe(Stream.mapError(toAiError("streamText")), Stream.provideSomeContext(services))
  })
})

const annotateWhole = (span: Span, { finishReason, id, model, provider, usage }: ChatResponse) =>
  Effect.sync(() =>
    Telemetry.addGenAIAnnotations(span, {
      system: provider,
      response: { id, model, finishReasons: [finishReason] },
      usage
    })
  )

const annotatePart = (span: Span, part: StreamPart): void => {
  switch (part._tag) {
    case "Start":
      Telemetry.addGenAIAnnotations(span, { response: { id: part.id, model: part.model } })
      break
    case "Usage":
      Telemetry.addGenAIAnnotations(span, { usage: part.usage })
      break
    case "Finish":
      Telemetry.addGenAIAnnotations(span, { response: { finishReasons: [part.finishReason] } })
  }
}

/**
 * The `EmbeddingModel` of `@effect/ai`. Texts that are asked for at the same time, in whatever fibers, share calls of the
 * size that the provider takes, and each is cached by itself. Give it what `complete` needs.
 *
 * @example
 * import * as EmbeddingModel from "@effect/ai/EmbeddingModel"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import { OpenAILive } from "floodgate"
 * import * as EffectAi from "floodgate/EffectAi"
 *
 * const vectors = Effect.flatMap(EmbeddingModel.EmbeddingModel, (model) => model.embedMany(["a cat", "a dog"]))
 *
 * const model = EffectAi.layerEmbeddingModel({ model: "text-embedding-3-small" })
 * Effect.runPromise(vectors.pipe(Effect.provide(Layer.provide(model, OpenAILive))))
 */
export const layerEmbeddingModel = (
  options: EmbeddingModelOptions = {}
): Layer.Layer<EmbeddingModel.EmbeddingModel, never, Completer.Services> =>
  Layer.scoped(EmbeddingModel.EmbeddingModel, makeEmbeddingModel(options))

const makeEmbeddingModel = Effect.fnUntraced(function* ({
  model,
  parameters,
  ...run
}: EmbeddingModelOptions) {
  // one for all, so that those who ask apart share calls
  const completer = yield* Completer.make(run)

  const vectors = (
    input: ReadonlyArray<string>,
    method: string
  ): Effect.Effect<Array<Array<number>>, AiError.AiError> =>
    Effect.gen(function* () {
      const request = yield* Effect.try({
        try: () => new Embedding({ ...(model === undefined ? undefined : { model }), ...parameters, input }),
        catch: (cause) => ToChat.invalid(ToChat.because(cause))
      })
      const { outcome } = yield* completer.complete<never>(yield* completer.resolve(request), {})
      const response = yield* outcome
      // requests for vectors are answered with vectors
      return response._tag === "EmbeddingResponse" ? response.embeddings.map((vector) => [...vector]) : []
    }).pipe(
      Effect.mapError(toAiError(method)),
      Effect.withSpan(`EmbeddingModel.${method}`, { captureStackTrace: false })
    )

  return EmbeddingModel.EmbeddingModel.of({
    embed: (text) => Effect.map(vectors([text], "embed"), ([vector = []]) => vector),
    embedMany: (texts) => (texts.length === 0 ? Effect.succeed([]) : vectors(texts, "embedMany"))
  })
})
