import type { Migration } from 'kysely/migration'
import * as initial from './0001-initial.ts'
import * as openid from './0002-openid.ts'
import * as resources from './0003-resources.ts'
import * as registeredClients from './0004-registered-clients.ts'
import * as agentPolicies from './0005-agent-policies.ts'
import * as fewerPages from './0006-fewer-pages.ts'
import * as signInFacts from './0007-sign-in-facts.ts'
import * as rememberedApprovals from './0008-remembered-approvals.ts'
import * as legacyPolling from './0009-legacy-polling.ts'
import * as unprovedRows from './0010-unproved-rows.ts'
import * as operatorChange from './0011-operator-change.ts'
import * as accessTokenAlg from './0012-access-token-alg.ts'
import * as orderOfEvents from './0013-order-of-events.ts'
import * as heartbeat from './0014-heartbeat.ts'
import * as refreshHistory from './0015-refresh-history.ts'
import * as holderOfSecret from './0016-holder-of-secret.ts'
import * as emailVerified from './0017-email-verified.ts'
import * as defaultResource from './0018-default-resource.ts'
import * as owners from './0019-owners.ts'
import * as logout from './0020-logout.ts'
import * as ownerMailCodes from './0021-owner-mail-codes.ts'
import * as account from './0022-account.ts'
import * as consents from './0023-consents.ts'
import * as console from './0024-console.ts'

/** All migrations, in order. A released migration never changes. */
export const migrations: Record<string, Migration> = {
  '0001-initial': initial,
  '0002-openid': openid,
  '0003-resources': resources,
  '0004-registered-clients': registeredClients,
  '0005-agent-policies': agentPolicies,
  '0006-fewer-pages': fewerPages,
  '0007-sign-in-facts': signInFacts,
  '0008-remembered-approvals': rememberedApprovals,
  '0009-legacy-polling': legacyPolling,
  '0010-unproved-rows': unprovedRows,
  '0011-operator-change': operatorChange,
  '0012-access-token-alg': accessTokenAlg,
  '0013-order-of-events': orderOfEvents,
  '0014-heartbeat': heartbeat,
  '0015-refresh-history': refreshHistory,
  '0016-holder-of-secret': holderOfSecret,
  '0017-email-verified': emailVerified,
  '0018-default-resource': defaultResource,
  '0019-owners': owners,
  '0020-logout': logout,
  '0021-owner-mail-codes': ownerMailCodes,
  '0022-account': account,
  '0023-consents': consents,
  '0024-console': console,
}
