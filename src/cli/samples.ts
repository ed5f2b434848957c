/** The requests of a row: `--samples`. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type Request, withFields } from "../Request.js"
import type { CliError } from "./CliError.js"
import { wrong } from "./flags.js"

/** More than anybody asks of one request; all of a row are made at once. */
const mostSamples = 10_000

export const checkSamples = (samples: number | undefined): Effect.Effect<void, CliError> =>
  samples === undefined || (samples > 0 && samples <= mostSamples)
    ? Effect.void
    : wrong(`--samples must be from 1 to ${mostSamples}, not ${samples}`)

/**
 * One request for each sample, in order. A row that names its sample itself is asked for that one alone. Sample 0 is
 * the question as it is asked without samples.
 */
export const samplesOf = (request: Request, samples: number | undefined): ReadonlyArray<Request> =>
  samples === undefined || request.cache?.sample !== undefined
    ? [request]
    : Array.from({ length: samples }, (_, sample) =>
        withFields(request, { cache: { ...request.cache, sample } })
      )

/** The requests of a row; a row that cannot be read as one, and is not asked, counts as if it could. */
export const requestsOf = (
  row: Either.Either<Request, unknown>,
  samples: number | undefined
): ReadonlyArray<Request | undefined> =>
  Either.isRight(row) ? samplesOf(row.right, samples) : new Array(samples ?? 1).fill(undefined)
