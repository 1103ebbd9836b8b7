/**
 * The operator whose server this copy of the extension asks until another one is chosen; null when each viewer chooses.
 * `scripts/package-extension --server https://songs.example --name "Songs"` writes another one into its archives.
 *
 * @type {{ server: string, name: string } | null}
 */
export const OPERATOR = null;
