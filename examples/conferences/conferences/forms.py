from typing import Any

from wafer.talks import forms

from conferences.people import people


class TalkForm(forms.TalkForm):
    """Wafer's form; authors are chosen from those who take part in the conference."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        authors = self.fields["authors"]
        authors.queryset = authors.queryset.filter(people(self.user)).distinct()
