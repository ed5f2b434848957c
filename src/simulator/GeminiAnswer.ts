/** `generateContent`: what is answered, as one body or as a stream of pieces of the same shape. */
import type { Server } from "./GeminiError.js"
import { generationOf, proof } from "./GeminiRules.js"
import * as Text from "./Text.js"
import * as Utterance from "./Utterance.js"
import type { Answer, AnswerContext } from "./Wire.js"

/** What the answer depends on. */
export interface Question extends Utterance.Question {
  readonly server: Server
  /** Of the prompt's tokens, sound. */
  readonly audioTokens: number
  readonly n: number
  readonly serviceTier: string
  /** Whether thoughts are shown. */
  readonly shown: boolean
  /** Alternatives per token; absent if log probabilities were not asked for. */
  readonly topLogprobs: number | undefined
}

type Part = Readonly<Record<string, unknown>>

interface Candidate {
  readonly parts: ReadonlyArray<Part> | undefined
  readonly finish: string
  readonly visibleTokens: number
  readonly thoughtTokens: number
  readonly text: string
}

const partsOf = (
  question: Question,
  { call, text, thinking }: Utterance.Utterance,
  label: string
): ReadonlyArray<Part> => {
  const generation = generationOf(question.model)
  const parts: Array<Part> = []
  if (thinking !== "" && question.shown) parts.push({ text: thinking, thought: true })
  const signed = question.thinks && generation >= 2.5
  if (call !== undefined) {
    parts.push({
      functionCall: {
        // Vertex and older models give calls no ids
        ...(question.server === "gemini" && generation >= 3
          ? { id: `call${label.replace(/\W/g, "")}` }
          : undefined),
        name: call.name,
        args: JSON.parse(call.arguments)
      },
      ...(signed ? { thoughtSignature: proof(label) } : undefined)
    })
  } else if (text !== "") {
    parts.push({
      text,
      ...(question.thinks && generation >= 3 ? { thoughtSignature: proof(label) } : undefined)
    })
  }
  return parts
}

const choose = (question: Question, context: AnswerContext, index: number): Candidate => {
  if (context.bent === "contentFilter") {
    return { parts: undefined, finish: "SAFETY", visibleTokens: 0, thoughtTokens: 0, text: "" }
  }
  const said = Utterance.make(question, context, index)
  const thoughtTokens = Text.tokensOf(said.thinking.length)
  // a call that was cut is no JSON: the model has come to nothing
  const cutCall = said.call !== undefined && said.ending === "cut"
  const parts = partsOf(
    question,
    cutCall ? { ...said, call: undefined } : said,
    Text.mark(context.hash, index)
  )
  return {
    parts: parts.length === 0 ? undefined : parts,
    finish: said.ending === "cut" ? "MAX_TOKENS" : "STOP",
    visibleTokens: said.tokens - thoughtTokens,
    thoughtTokens,
    text: said.text
  }
}

const logprobsOf = (text: string, top: number) => {
  const tokens = Text.splitTokens(text)
  const one = (token: string, rank: number) => ({ token, tokenId: rank, logProbability: -0.125 * (rank + 1) })
  return {
    topCandidates: tokens.map((token) => ({
      candidates: Array.from({ length: top }, (_, rank) => one(rank === 0 ? token : `${token}${rank}`, rank))
    })),
    chosenCandidates: tokens.map((token) => one(token, 0))
  }
}

/** Counts of zero are left out. */
const usageOf = (
  question: Question,
  context: AnswerContext,
  visible: number,
  thoughts: number
): Readonly<Record<string, unknown>> => {
  const { audioTokens: audio, inputTokens: prompt } = question
  const cached = Utterance.cachedTokens(prompt, context)
  return {
    promptTokenCount: prompt,
    ...(cached > 0 && { cachedContentTokenCount: cached }),
    ...(visible > 0 && { candidatesTokenCount: visible }),
    ...(thoughts > 0 && { thoughtsTokenCount: thoughts }),
    totalTokenCount: prompt + visible + thoughts,
    promptTokensDetails: [
      { modality: "TEXT", tokenCount: prompt - audio },
      ...(audio > 0 ? [{ modality: "AUDIO", tokenCount: audio }] : [])
    ],
    ...(question.server === "vertex" ? { trafficType: "ON_DEMAND" } : { serviceTier: question.serviceTier })
  }
}

/** A part in pieces, the proof on the last one; a call is whole. */
const piecesOf = (part: Part, chunkTokens: number): ReadonlyArray<Part> => {
  const { text, thoughtSignature, ...rest } = part
  if (typeof text !== "string") return [part]
  const pieces: Array<Part> = Text.splitTokens(text, chunkTokens).map((piece) => ({ ...rest, text: piece }))
  // the proof of a text comes by itself
  if (thoughtSignature !== undefined) pieces.push({ ...rest, text: "", thoughtSignature })
  return pieces
}

/** Makes the answer to a question. */
export const make = (question: Question, context: AnswerContext): Answer => {
  const amounts = {
    inputTokens: question.inputTokens,
    outputTokens: 0,
    cacheReadTokens: Utterance.cachedTokens(question.inputTokens, context),
    audioTokens: question.audioTokens
  }
  const head = {
    modelVersion: question.model,
    responseId: `${context.hash.text}${context.seq.toString(36)}`,
    ...(question.server === "vertex" && { createTime: new Date(context.now).toISOString() })
  }
  const event = (value: unknown) => `data: ${JSON.stringify(value)}\r\n\r\n`
  if (context.bent === "refusal") {
    const body = {
      promptFeedback: { blockReason: "PROHIBITED_CONTENT", safetyRatings: [] },
      usageMetadata: usageOf(question, context, 0, 0),
      ...head
    }
    return {
      ...amounts,
      body: question.stream ? [event(body)] : JSON.stringify(body, undefined, 2)
    }
  }
  const candidates = Array.from({ length: question.n }, (_, index) => choose(question, context, index))
  const visible = candidates.reduce((sum, { visibleTokens }) => sum + visibleTokens, 0)
  const thoughts = candidates.reduce((sum, { thoughtTokens }) => sum + thoughtTokens, 0)
  const usageMetadata = usageOf(question, context, visible, thoughts)
  const billed = { ...amounts, outputTokens: visible + thoughts, reasoningTokens: thoughts }
  const { topLogprobs } = question
  if (!question.stream) {
    const body = {
      candidates: candidates.map(({ finish, parts, text }, index) => ({
        ...(finish === "SAFETY"
          ? {
              safetyRatings: [
                { category: "HARM_CATEGORY_DANGEROUS_CONTENT", probability: "HIGH", blocked: true }
              ]
            }
          : { content: { role: "model", ...(parts && { parts }) } }),
        finishReason: finish,
        index,
        ...(topLogprobs !== undefined && {
          avgLogprobs: -0.125,
          logprobsResult: logprobsOf(text, topLogprobs)
        })
      })),
      usageMetadata,
      ...head
    }
    return { ...billed, body: JSON.stringify(body, undefined, 2) }
  }
  const events: Array<string> = []
  for (const [index, { finish, parts = [] }] of candidates.entries()) {
    const pieces = parts.flatMap((part) => piecesOf(part, context.chunkTokens))
    for (const piece of pieces) {
      const logprobsResult =
        topLogprobs !== undefined &&
        typeof piece["text"] === "string" &&
        piece["text"] !== "" &&
        piece["thought"] !== true
          ? logprobsOf(piece["text"], topLogprobs)
          : undefined
      events.push(
        event({
          candidates: [
            { content: { role: "model", parts: [piece] }, index, ...(logprobsResult && { logprobsResult }) }
          ],
          // so far; the last one counts
          usageMetadata: usageOf(question, context, Math.min(events.length, visible), thoughts),
          ...head
        })
      )
    }
    events.push(
      event({
        candidates: [
          {
            ...(finish !== "SAFETY" && { content: { role: "model", parts: [{ text: "" }] } }),
            finishReason: finish,
            index
          }
        ],
        usageMetadata,
        ...head
      })
    )
  }
  return { ...billed, body: events }
}
