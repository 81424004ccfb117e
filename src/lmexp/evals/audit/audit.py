"""All questions of an audit, in order: what a scorer gives, what it sees, how figures are made of it."""

from collections.abc import Callable, Iterable

from lmexp.errors import DataError
from lmexp.evals.audit.accounting import check_bytes, check_figures
from lmexp.evals.audit.bounds import check_bound
from lmexp.evals.audit.causality import check_batches, check_later_tokens, check_other_documents
from lmexp.evals.audit.distribution import check_chain, check_sums
from lmexp.evals.audit.finding import Finding
from lmexp.evals.audit.subject import Subject


def audit(
    subject: Subject, *, contexts: int, say: Callable[[str], None] = lambda _text: None
) -> list[Finding]:
    """Return the findings on what `subject` scores; all next tokens are asked for after so many `contexts`.

    A bound gives no next token a probability: it is asked for single draws instead. `say` is told what is
    asked.
    Errors: `DataError` where no document has a token.
    """
    if not subject.pieces:
        raise DataError("There is nothing to audit: no document of the split has a token.")
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("all next tokens", lambda: check_sums(subject, contexts)),
        ("tokens one by one", lambda: [check_chain(subject)]),
        ("other later tokens", lambda: [check_later_tokens(subject)]),
        ("documents in other orders", lambda: [check_other_documents(subject)]),
        ("other batches", lambda: [check_batches(subject)]),
        ("the figures", lambda: [check_figures(subject), check_bytes(subject)]),
    ]
    if subject.bound is not None:
        checks = [("single draws", lambda: [check_bound(subject)]), *checks[3:]]
    found: list[Finding] = []
    for what, check in checks:
        say(f"asks for {what}")
        found += check()
    return found
