/** Fields that a request takes from its task or its endpoint, where it leaves them out. */
import { Chat, Completion, Embedding, type Request, Rerank, withFields } from "../Request.js"

const namesOf = (
  kind: { readonly fields: object },
  ...others: ReadonlyArray<string>
): ReadonlySet<string> => {
  const names = new Set(Object.keys(kind.fields))
  for (const other of others) names.delete(other)
  return names
}

/** The fields that a request of each kind can be given. */
const fieldsOf: Readonly<Record<Request["_tag"], ReadonlySet<string>>> = {
  Chat: namesOf(Chat, "_tag"),
  // of a completion it is a number, of a chat a flag
  Completion: namesOf(Completion, "_tag", "logprobs"),
  Embedding: namesOf(Embedding, "_tag"),
  Rerank: namesOf(Rerank, "_tag")
}

/** The defaults that fill a gap of the request, if there are any. */
export const missing = (
  request: Request,
  defaults: object
): Readonly<Record<string, unknown>> | undefined => {
  let found: Record<string, unknown> | undefined
  for (const [field, value] of Object.entries(defaults)) {
    if (value === undefined || request[field as keyof Request] !== undefined) continue
    if (!fieldsOf[request._tag].has(field)) continue
    found ??= {}
    found[field] = value
  }
  return found
}

/** The request with its gaps filled. */
export const fill = <R extends Request>(request: R, defaults: object | undefined): R => {
  const fields = defaults === undefined ? undefined : missing(request, defaults)
  // fields of the request's kind, as the types of tasks and endpoints have them
  return fields === undefined ? request : (withFields<Request>(request, fields as Partial<Request>) as R)
}

/** The defaults that a request of this kind has no field for. */
export const misfits = ({ _tag }: Request, defaults: object): ReadonlyArray<string> =>
  Object.entries(defaults).flatMap(([field, value]) =>
    value === undefined || fieldsOf[_tag].has(field) ? [] : [field]
  )
