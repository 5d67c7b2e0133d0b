import t from 'tap'
import { isPrivateAddress, isPublicAddress } from '../../../plugins/core/registry/addresses.ts'
import { isNeverFetched } from '../../../plugins/core/settings.ts'

const rows: [kind: 'public' | 'private' | 'never' | 'special', addresses: string[]][] = [
  ['public', ['1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:1.1.1.1']],
  [
    'private',
    [
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.0.1',
      '100.64.0.1',
      '100.127.255.255',
      '127.0.0.1',
      '127.8.8.8',
      '::1',
      'fc00::1',
      'fd12:3456::1',
      '::ffff:192.168.0.1',
      '::ffff:c0a8:1',
    ],
  ],
  [
    'never',
    [
      '169.254.0.1',
      '169.254.169.254',
      '169.254.170.2',
      '::ffff:169.254.169.254',
      '::ffff:a9fe:a9fe',
      'fe80::1',
      'fe80::1%eth0',
      'febf::1',
      'fe80::a9fe:a9fe',
      'fd00:ec2::254',
      'fd00:ec2::23',
      'fd20:ce::254',
      'fd00:c1::a9fe:a9fe',
      'fd00:42::42',
      '100.100.100.200',
      '::ffff:100.100.100.200',
      '168.63.129.16',
    ],
  ],
  [
    'special',
    [
      '0.0.0.0',
      '192.0.0.192',
      '192.0.2.1',
      '198.18.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::a9fe:a9fe',
      '::a00:1',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b::a00:1',
      '2002:a9fe:a9fe::1',
      '2001:db8::1',
      'fec0::1',
      'ff02::1',
      '',
      'nas.home.arpa',
    ],
  ],
]

t.test(
  'RFC 6890: an address is public, private, never fetched from, or of special use',
  async (t) => {
    for (const [kind, addresses] of rows) {
      for (const address of addresses) {
        t.strictSame(
          [isPublicAddress(address), isPrivateAddress(address), isNeverFetched(address)],
          [kind === 'public', kind === 'private', kind === 'never'],
          address,
        )
      }
    }
  },
)
