export {
  type AgentOptions,
  createAgent,
  type PageSignInOptions,
  type SignedIn,
  type SignedInPage,
  type SignInOptions,
  type Site,
} from './agent.ts'
export {
  type Credentials,
  credentialsFromEnvironment,
  generateKey,
  type KeyCredentials,
  readCredentials,
  readKey,
  type SecretCredentials,
} from './credentials.ts'
export { type SignInDescription, writeDescription } from './description.ts'
export {
  type PendingApproval,
  type RefusalReason,
  SignInError,
  type SignInErrorCode,
} from './errors.ts'
export { type CdpSession, cdpPage, type Page } from './page.ts'
