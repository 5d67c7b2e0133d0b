import { type Command, Option } from 'commander'
import type { OpenApproval } from '../../db/store.ts'
import { toLines } from '../../plugins/core/audit/sign-in-lines.ts'
import type { SignInDescription } from '../../schemas/sign-in-description.ts'
import { identifier } from './options.ts'
import { facts, print, time, withCore } from './session.ts'

export function addApprovalCommands(program: Command): void {
  const approval = program
    .command('approval')
    .description('the sign-ins that wait for their owner’s approval')

  approval
    .command('list')
    .description('list those that wait for an answer')
    .addHelpText('after', '\nExample:\n  auth-agent approval list')
    .action(async (_options, command) => {
      const open = await withCore((app) => app.approvals.listOpen())
      print(
        command,
        open,
        () => open.map(describeApproval).join('\n\n') || 'No sign-in waits for approval.',
      )
    })

  approval
    .command('approve')
    .argument('<request_id>', '', identifier('request_id'))
    .description('allow the sign-in; the agent then authenticates again to finish it')
    .addOption(whichAgent())
    .addOption(
      new Option(
        '--remember <yes|no>',
        'whether the same sign-in is allowed in future without asking; by default as in the policy',
      ).choices(['yes', 'no']),
    )
    .addHelpText('after', '\nExample:\n  auth-agent approval approve req_8sK2… --remember no')
    .action(async (request_id: string, { remember, agent }: AnswerOptions, command) => {
      const { agent_id, status } = await withCore((app) =>
        app.approvals.approve(request_id, remember && remember === 'yes', agent),
      )
      print(command, { request_id, agent_id, status }, facts)
    })

  approval
    .command('deny')
    .argument('<request_id>', '', identifier('request_id'))
    .description('refuse it')
    .addOption(whichAgent())
    .addHelpText('after', '\nExample:\n  auth-agent approval deny req_8sK2…')
    .action(async (request_id: string, { agent }: AnswerOptions, command) => {
      const { agent_id, status } = await withCore((app) => app.approvals.deny(request_id, agent))
      print(command, { request_id, agent_id, status }, facts)
    })
}

interface AnswerOptions {
  agent?: string
  remember?: 'yes' | 'no'
}

function whichAgent(): Option {
  return new Option(
    '--agent <agent_id>',
    'the agent, if several wait for the same request',
  ).argParser(identifier('agent_id'))
}

/** The facts for the decision. */
function describeApproval(open: OpenApproval & SignInDescription): string {
  return facts({
    Request: open.request_id,
    Owner: open.email,
    ...Object.fromEntries(toLines(open)),
    Mailed: time(open.mailed_at),
    Expires: time(open.expires_at),
  })
}
