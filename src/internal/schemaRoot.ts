/**
 * Providers hold their models to objects alone. A value of another kind (a list, a choice, a union, a number) is asked
 * for as the one member of an object, and taken out of it before it is decoded.
 */
import { isJsonObject, type JsonObject } from "./jsonObject.js"
import { definitionsOf, nameOf, opened, referencesIn } from "./schemaReference.js"

/** What the value is called in its object. */
export const member = "value"

/** Whether the values of a schema are objects: no provider's mode takes anything else at the root. */
export const isObjectSchema = (schema: JsonObject): boolean => {
  const root = opened(schema)
  return root.type === "object" || (root.type === undefined && isJsonObject(root.properties))
}

/** The schema of the object around the value; nothing where the value is an object, or its schema cannot be moved. */
export const wrap = (schema: JsonObject): JsonObject | undefined => {
  if (isObjectSchema(schema)) return undefined
  const { $defs, definitions, $schema: _, ...root } = schema
  const named = definitionsOf(schema)
  // a reference to a place in the schema would lead elsewhere
  const references = [root, ...Object.values(named)].flatMap((part) => [...referencesIn(part)])
  if (references.some((reference) => nameOf(reference, named) === undefined)) return undefined
  return {
    type: "object",
    properties: { [member]: root },
    required: [member],
    additionalProperties: false,
    ...($defs === undefined ? undefined : { $defs }),
    ...(definitions === undefined ? undefined : { definitions })
  }
}

/** Whether a value is an object around another one. */
export const isWrapped = (json: unknown): json is { readonly [member]: unknown } =>
  isJsonObject(json) && Object.hasOwn(json, member) && Object.keys(json).length === 1
