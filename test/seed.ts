/**
 * In CI every property runs with one seed, so that a change is judged by what it does and not by another draw. On a
 * developer's machine each run draws anew; `FLOODGATE_SEED` repeats one.
 */
import { FastCheck } from "effect"

const seed = process.env.FLOODGATE_SEED ?? (process.env.CI === undefined ? undefined : "20261121")
if (seed !== undefined) FastCheck.configureGlobal({ ...FastCheck.readConfigureGlobal(), seed: Number(seed) })
