/** One thing that was looked at. */
export interface Finding {
  what: string;
  /** 'problem': rec's default path does not work; 'note': something that is optional is missing, or little is left of something. */
  status: 'ok' | 'note' | 'problem';
  found: string;
  /** The exact command, or what else mends it. */
  remedy?: string;
}

/** Findings of one kind. */
export interface Section {
  title: string;
  findings: Finding[];
}
