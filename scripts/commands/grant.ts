import type { Command } from 'commander'
import { OAuthError } from '../../plugins/core/http/errors.ts'
import { assertAgent, assertClient } from './noun.ts'
import { identifier } from './options.ts'
import { print, table, time, withCore } from './session.ts'

export function addGrantCommands(program: Command): void {
  const grant = program.command('grant').description('the sign-ins that have not ended')

  grant
    .command('list')
    .description('list where agents are signed in')
    .option('--agent <agent_id>', 'of one agent', identifier('agent_id'))
    .option('--client <client_id>', 'at one website', identifier('client_id'))
    .addHelpText('after', '\nExample:\n  auth-agent grant list --agent agent_mZ4k…')
    .action(async (options: { agent?: string; client?: string }, command) => {
      const grants = await withCore(async (app) => {
        if (options.agent !== undefined) await assertAgent(app, options.agent)
        if (options.client !== undefined) await assertClient(app, options.client)
        const now = app.clock.now()
        const all = await app.store.grants.list({
          agent_id: options.agent,
          client_id: options.client,
        })
        return all.filter(({ revoked_at, expires_at }) => revoked_at === null && expires_at > now)
      })
      print(command, grants, () =>
        table(
          grants.map(({ grant_id, agent_id, client_id, model, scope, created_at, expires_at }) => ({
            grant_id,
            agent_id,
            client_id,
            model,
            scope,
            since: time(created_at),
            until: time(expires_at),
          })),
          'No agent is signed in.',
        ),
      )
    })

  grant
    .command('revoke')
    .argument('<grant_id>', '', identifier('grant_id'))
    .description('end one sign-in and all its tokens')
    .addHelpText('after', '\nExample:\n  auth-agent grant revoke grant_mZ4k…')
    .action(async (grant_id: string, _options, command) => {
      const revoked = await withCore(async (app) => {
        const ended = await app.store.grants.revoke(grant_id, app.clock.now())
        if (ended) await app.audit.recordRevocation(grant_id, 'The operator revoked it')
        return ended
      })
      if (!revoked) throw new OAuthError('not_found', `There is no ${grant_id} that has not ended`)
      print(
        command,
        { grant_id, revoked },
        () =>
          `Revoked ${grant_id}. A website with a session of its own notices at its next refresh.`,
      )
    })
}
