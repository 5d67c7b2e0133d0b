import { html } from 'ghtml'
import { layout } from './layout.ts'

/** What a person sees when a sign-in cannot even start. */
export function errorPage(message: string, nonce: string): string {
  return layout({
    title: 'Sign-in problem',
    nonce,
    main: html`<h1>This sign-in cannot start</h1><p>${message}</p>`,
  })
}
