import { type Command, Option } from 'commander'
import type { OpenApproval } from '../../db/store.ts'
import { redirectHost } from '../../schemas/client.ts'
import { facts, print, table, time, withCore } from './session.ts'

export function addApprovalCommands(program: Command): void {
  const approval = program
    .command('approval')
    .description('the sign-ins that wait for the approval of an owner')

  approval
    .command('list')
    .description('list those that wait for an answer')
    .addHelpText('after', '\nExample:\n  auth-agent approval list')
    .action(async (_options, command) => {
      const open = await withCore((app) => app.approvals.listOpen())
      print(command, open, () => table(open.map(row), 'Nothing waits for an answer.'))
    })

  approval
    .command('approve <request_id>')
    .description('let the agent sign in; it authenticates again, or with the code that is shown')
    .addOption(
      new Option(
        '--remember <yes|no>',
        'whether the site is allowed from then on, else as the policy says',
      ).choices(['yes', 'no']),
    )
    .addHelpText('after', '\nExample:\n  auth-agent approval approve req_8sK2… --remember no')
    .action(async (request_id: string, { remember }: { remember?: 'yes' | 'no' }, command) => {
      const approved = await withCore((app) =>
        app.approvals.approve(request_id, remember && remember === 'yes'),
      )
      const { agent_id, status } = approved.approval
      print(command, { request_id, agent_id, status, code: approved.code }, facts)
    })

  approval
    .command('deny <request_id>')
    .description('refuse it')
    .addHelpText('after', '\nExample:\n  auth-agent approval deny req_8sK2…')
    .action(async (request_id: string, _options, command) => {
      const { agent_id, status } = await withCore((app) => app.approvals.deny(request_id))
      print(command, { request_id, agent_id, status }, facts)
    })
}

function row(open: OpenApproval) {
  const { request_id, agent_id, email, client_name, redirect_uri, model, expires_at } = open
  const host = redirectHost(redirect_uri)
  const expires = time(expires_at)
  return { request_id, agent_id, owner: email, site: client_name, host, model, expires }
}
