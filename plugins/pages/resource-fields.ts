import { OPEN_TO, type OpenTo } from '../../schemas/resource.ts'
import type { ResourceChange } from '../core/core.ts'
import { SIGNING_ALGS } from '../core/settings.ts'
import { choice, choiceOrNull, FieldSet, type Fields, lines, text, textOrNull } from './fields.ts'

/** What an operator can change of an API. */
export type ResourceValues = Required<ResourceChange>

const WHO: Record<OpenTo, string> = {
  registered: 'Websites that an operator registered',
  anyone: 'Anyone, as for a public MCP server',
}
const ALGS = Object.fromEntries(SIGNING_ALGS.map((alg) => [alg, alg]))

const fields: Fields<ResourceValues> = {
  name: textOrNull('Name', 'none', { hint: 'What you call it' }),
  scopes: lines('Scopes', 'One a line: those that it knows', 'none'),
  open_to: choice<OpenTo>(
    'Who may ask for it',
    Object.fromEntries(OPEN_TO.map((whom) => [whom, WHO[whom]])) as Record<OpenTo, string>,
  ),
  access_token_alg: choiceOrNull('What signs tokens for it', "The server's own algorithm", ALGS),
}

export const resourceFields = new FieldSet<ResourceValues>(fields)

export const newResourceFields = new FieldSet<ResourceValues & { uri: string }>({
  uri: text('URI', {
    type: 'url',
    hint: 'Exactly as the API expects it in the audience of tokens',
  }),
  ...fields,
})
