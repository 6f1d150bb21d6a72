from policies.files import sheet
from policies.files.reading import House, PolicyFile
from policies.management.file_command import FileCommand


class Command(FileCommand):
    help = "Add and change the cards of a spreadsheet (CSV, docs/policies.md), all or none."
    takes = "CSV with a header line: card_uid,user_name and what is known beside"

    def read(self, text: str, house: House) -> PolicyFile:
        return sheet.read(text, house)
