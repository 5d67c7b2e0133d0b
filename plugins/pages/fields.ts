import { html } from 'ghtml'
import { OAuthError } from '../core/http/errors.ts'

/** How a value is asked for in a form, read from it and told. */
export interface Field<Value> {
  label: string
  /** The part of the form, with the value that holds now. */
  toInput(name: string, value: Value): string
  /** @throws {OAuthError} invalid_request for a text that is no such value */
  read(text: string | undefined): Value
  /** The value in a person's words. */
  describe(value: Value): string
}

/** What a form sends. */
export type Form = Record<string, string | undefined>

/** One of several values, each with what it means. */
export function choice<Value extends string>(
  label: string,
  options: Record<Value, string>,
): Field<Value> {
  const values = Object.keys(options) as Value[]
  return {
    label,
    toInput: (name, value) => html`<fieldset><legend>${label}</legend>
!${values
      .map(
        (each) =>
          html`<label class="choice"><input type="radio" name="${name}" value="${each}"!${each === value ? ' checked' : ''}> <span>${options[each]}</span></label>`,
      )
      .join('\n')}</fieldset>`,
    read(text) {
      const found = values.find((each) => each === text)
      if (found !== undefined) return found
      throw new OAuthError('invalid_request', `${label}: choose one of the answers`)
    },
    describe: (value) => options[value],
  }
}

/** One of several values or null, which the option of `none` stands for. */
export function choiceOrNull<Value extends string>(
  label: string,
  none: string,
  options: Record<Value, string>,
): Field<Value | null> {
  const either = choice<Value | ''>(label, { '': none, ...options } as Record<Value | '', string>)
  return {
    label,
    toInput: (name, value) => either.toInput(name, value ?? ''),
    read: (text) => either.read(text ?? '') || null,
    describe: (value) => either.describe(value ?? ''),
  }
}

function hinted(name: string, label: string, hint: string, input: string): string {
  return html`<div class="field"><label for="${name}">${label}</label>
!${hint === '' ? '' : html`<span class="hint" id="${name}-hint">${hint}</span>`}
!${input}</div>`
}

const describedBy = (name: string, hint: string) =>
  hint === '' ? '' : html` aria-describedby="${name}-hint"`

/** Texts, one a line. */
export function lines(label: string, hint: string, none: string): Field<string[]> {
  return {
    label,
    toInput: (name, value) =>
      hinted(
        name,
        label,
        hint,
        html`<textarea id="${name}" name="${name}" rows="${Math.min(8, value.length + 2)}"!${describedBy(name, hint)} spellcheck="false">
${value.join('\n')}</textarea>`,
      ),
    read: (text = '') =>
      text
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
    describe: (value) => (value.length === 0 ? none : value.join(', ')),
  }
}

export function yesOrNo(label: string, hint: string, yes: string, no: string): Field<boolean> {
  return {
    label,
    toInput: (name, value) => html`<fieldset><legend>${label}</legend>
<label class="choice"><input type="checkbox" name="${name}" value="yes"!${value ? ' checked' : ''}> <span>${hint}</span></label></fieldset>`,
    read: (text) => text === 'yes',
    describe: (value) => (value ? yes : no),
  }
}

interface TextOptions {
  hint?: string
  type?: 'text' | 'email' | 'url'
}

/** A text that has to be there. */
export function text(label: string, { hint = '', type = 'text' }: TextOptions = {}): Field<string> {
  return {
    label,
    toInput: (name, value) =>
      hinted(
        name,
        label,
        hint,
        html`<input type="${type}" id="${name}" name="${name}" value="${value}" required!${describedBy(name, hint)} autocomplete="off" spellcheck="false">`,
      ),
    read(given = '') {
      const trimmed = given.trim()
      if (trimmed !== '') return trimmed
      throw new OAuthError('invalid_request', `${label} is required`)
    },
    describe: (value) => value,
  }
}

/** A text, or null where it is left empty. */
export function textOrNull(
  label: string,
  none: string,
  { hint = '', type = 'text' }: TextOptions = {},
): Field<string | null> {
  return {
    label,
    toInput: (name, value) =>
      hinted(
        name,
        label,
        hint,
        html`<input type="${type}" id="${name}" name="${name}" value="${value ?? ''}"!${describedBy(name, hint)} autocomplete="off" spellcheck="false">`,
      ),
    read: (given = '') => given.trim() || null,
    describe: (value) => value ?? none,
  }
}

/** A whole number, or null where it is left empty. */
export function numberOrNull(
  label: string,
  none: string,
  { hint, minimum, maximum }: { hint: string; minimum: number; maximum: number },
): Field<number | null> {
  return {
    label,
    toInput: (name, value) =>
      hinted(
        name,
        label,
        hint,
        html`<input type="number" id="${name}" name="${name}" value="${value ?? ''}" min="${minimum}" max="${maximum}"!${describedBy(name, hint)}>`,
      ),
    read(given = '') {
      const trimmed = given.trim()
      if (trimmed === '') return null
      const number = /^(0|[1-9]\d{0,14})$/.test(trimmed) ? Number(trimmed) : Number.NaN
      if (number >= minimum && number <= maximum) return number
      throw new OAuthError(
        'invalid_request',
        `${label}: a whole number from ${minimum} to ${maximum}, or nothing`,
      )
    },
    describe: (value) => (value === null ? none : String(value)),
  }
}

/** The fields of a noun: one for each member, so that none can be forgotten. */
export type Fields<Values extends object> = { [Name in keyof Values]-?: Field<Values[Name]> }

/** The form of a noun. */
export class FieldSet<Values extends object> {
  readonly fields: Fields<Values>
  readonly #names: (keyof Values & string)[]

  constructor(fields: Fields<Values>) {
    this.fields = fields
    this.#names = Object.keys(fields) as (keyof Values & string)[]
  }

  /** The parts of the form, and what was shown, so that only what is changed is changed. */
  toInputs(values: Values): string {
    const known = this.#pick(values)
    const inputs = this.#names.map((name) => this.#input(name, values))
    return html`!${inputs.join('\n')}<input type="hidden" name="shown" value="${JSON.stringify(known)}">`
  }

  /** @throws {OAuthError} invalid_request */
  read(form: Form): Values {
    return Object.fromEntries(
      this.#names.map((name) => [name, this.fields[name].read(form[name])]),
    ) as Values
  }

  /**
   * What the form changes of what it showed: what others changed in the meantime stays.
   * @throws {OAuthError} invalid_request
   */
  readChange(form: Form, now: Values): Partial<Values> {
    const shown = parseShown(form.shown) ?? this.#pick(now)
    const read = this.read(form)
    return Object.fromEntries(
      this.#names
        .filter((name) => JSON.stringify(read[name]) !== JSON.stringify(shown[name]))
        .map((name) => [name, read[name]]),
    ) as Partial<Values>
  }

  /** What holds, as rows of a `dl`. */
  toRows(values: Values): string {
    return this.#names
      .map(
        (name) =>
          html`<div><dt>${this.fields[name].label}</dt><dd><bdi>${this.#describe(name, values)}</bdi></dd></div>`,
      )
      .join('\n')
  }

  #pick(values: Values): Record<string, unknown> {
    return Object.fromEntries(this.#names.map((name) => [name, values[name]]))
  }

  #input<Name extends keyof Values & string>(name: Name, values: Values): string {
    return this.fields[name].toInput(name, values[name])
  }

  #describe<Name extends keyof Values>(name: Name, values: Values): string {
    return this.fields[name].describe(values[name])
  }
}

function parseShown(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // A browser sends what the page had; the refusal is for everything else.
  }
  throw new OAuthError('invalid_request', 'shown is malformed')
}
