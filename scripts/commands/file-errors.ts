/** An error of the operating system about a file or folder. */
type FileError = Error & { code: string; path: string }

export function isFileError(error: unknown): error is FileError {
  return error instanceof Error && 'code' in error && 'path' in error && 'syscall' in error
}

/** Names the file, the reason and what to do. */
export function describeFileError({ code, path, message }: FileError): string {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `${path} cannot be read or written: its permissions, or those of a folder above it, do not allow it (${code}). ${describeUser()}`
    case 'EROFS':
      return `${path} cannot be written: its file system is read-only (${code}). Choose a folder that can be written; in a container, one on a volume.`
    case 'ENOENT':
      return `${path} does not exist (${code}). Create the folder first (in a container, as a volume), or name another.`
    case 'ENOTDIR':
    case 'EEXIST':
      return `${path} cannot be used: a part of it is a file and not a folder (${code}). Name another.`
    case 'EISDIR':
      return `${path} is a folder (${code}). Name a file.`
    case 'ENOSPC':
    case 'EDQUOT':
      return `${path} cannot be written: its disk or quota is full (${code}). Free some space and try again.`
    default:
      return message
  }
}

/** The user who needs the permission. */
export function describeUser(): string {
  const { getuid, getgid } = process
  if (getuid === undefined || getgid === undefined) return 'Run the command as a user who may.'
  const user = `${getuid()}:${getgid()}`
  return `This command runs as user ${user}: give the folder to that user (chown ${user}), or run as its owner.`
}
