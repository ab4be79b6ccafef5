"""Vocabulary of the generated sample."""

from __future__ import annotations

CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": ("tiger", "horse", "rabbit", "whale", "eagle", "sheep", "frog", "camel"),
    "food": ("bread", "cheese", "apple", "soup", "rice", "honey", "onion", "cake"),
    "tool": ("hammer", "saw", "drill", "shovel", "wrench", "axe", "brush", "ladder"),
    "vehicle": ("truck", "boat", "train", "bicycle", "plane", "tractor", "bus", "wagon"),
    "clothing": ("hat", "coat", "scarf", "glove", "shirt", "boot", "belt", "sock"),
    "instrument": ("drum", "flute", "violin", "piano", "guitar", "harp", "trumpet", "bell"),
}
THINGS: tuple[str, ...] = tuple(word for words in CATEGORIES.values() for word in words)

NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry",
    "Ivy", "Jack", "Kate", "Liam", "Maria", "Noah", "Olga", "Peter",
)  # fmt: skip
PLACES = (
    "market", "park", "school", "beach", "station", "library",
    "forest", "museum", "harbour", "garden", "castle", "office",
)  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "purple")
SIZES = ("small", "big", "tiny", "huge", "short", "long")
GOOD = ("great", "lovely", "superb", "wonderful", "brilliant", "delightful", "perfect", "charming")
BAD = ("awful", "terrible", "boring", "dreadful", "poor", "horrible", "weak", "disappointing")

FIRST_NAMES = (
    "Aaron", "Adele", "Agnes", "Albert", "Alice", "Amir", "Andrea", "Angus", "Arthur", "Audrey",
    "Barbara", "Basil", "Beatrice", "Bella", "Boris", "Brenda", "Bruno", "Carla", "Cedric",
    "Celia", "Chloe", "Conrad", "Cora", "Cyrus", "Daisy", "Darius", "Deborah", "Dennis", "Diana",
    "Dora", "Edgar", "Edith", "Elena", "Elliot", "Esther", "Eugene", "Fatima", "Felix", "Fiona",
    "Flora", "Gareth", "Gemma", "George", "Gilbert", "Gloria", "Greta", "Hannah", "Harold",
    "Hazel", "Hector", "Helen", "Hugo", "Ingrid", "Irene", "Isaac", "Isabel", "Jasper", "Joan",
    "Joel", "Judith", "Julian", "Karim", "Kevin", "Laura", "Leon", "Lewis", "Linda", "Lucas",
    "Lydia", "Magnus", "Marcus", "Martha", "Miles", "Mira", "Monica", "Morris", "Nadia", "Nelson",
    "Nina", "Oscar", "Paula", "Philip", "Rachel", "Ralph", "Rosa", "Rufus", "Sandra", "Simon",
    "Sofia", "Stella", "Thomas", "Ursula", "Victor", "Wanda", "Xavier", "Yvonne",
)  # fmt: skip
SURNAMES = (
    "Abbott", "Adler", "Baker", "Barnes", "Bennett", "Bishop", "Booth", "Bradley", "Briggs",
    "Burton", "Carter", "Chapman", "Clarke", "Collins", "Cooper", "Crosby", "Dalton", "Dawson",
    "Dixon", "Doyle", "Drake", "Dunn", "Ellis", "Farrell", "Fisher", "Fleming", "Foster",
    "Fowler", "Gardner", "Gibson", "Glover", "Graham", "Griffin", "Hale", "Harper", "Hayes",
    "Higgins", "Holt", "Hughes", "Hunter", "Ingram", "Irving", "Jarvis", "Jenkins", "Keller",
    "Kemp", "Knight", "Lambert", "Lawson", "Lloyd", "Lowe", "Mason", "Mercer", "Mitchell",
    "Morgan", "Murphy", "Nash", "Newton", "Nolan", "Norris", "Oakley", "Olsen", "Osborne",
    "Owens", "Palmer", "Parker", "Pearce", "Porter", "Quinn", "Ramsey", "Reeves", "Rhodes",
    "Robson", "Russell", "Sawyer", "Shelton", "Slater", "Spencer", "Sutton", "Tanner", "Thorne",
    "Tucker", "Turner", "Underwood", "Vaughan", "Vincent", "Wagner", "Walker", "Walsh", "Warner",
    "Webster", "Weaver", "Whitaker", "Winter", "Wright", "Young",
)  # fmt: skip
CITIES = (
    "Accra", "Algiers", "Ankara", "Athens", "Bangkok", "Belgrade", "Berlin", "Bogota", "Boston",
    "Brussels", "Budapest", "Cairo", "Chicago", "Dakar", "Delhi", "Dublin", "Geneva", "Hamburg",
    "Hanoi", "Havana", "Helsinki", "Jakarta", "Kyoto", "Lagos", "Lima", "Lisbon", "London",
    "Lyon", "Madrid", "Manila", "Milan", "Montreal", "Moscow", "Mumbai", "Munich", "Nairobi",
    "Naples", "Osaka", "Oslo", "Paris", "Prague", "Quito", "Rome", "Seoul", "Sydney", "Tokyo",
    "Vienna", "Warsaw",
)  # fmt: skip
JOBS = (
    "artist", "banker", "barber", "butcher", "carpenter", "chemist", "clerk", "coach", "cook",
    "dancer", "dentist", "designer", "doctor", "driver", "editor", "farmer", "florist",
    "gardener", "grocer", "guard", "hunter", "jeweller", "joiner", "judge", "lawyer", "librarian",
    "mason", "mechanic", "miner", "nurse", "painter", "pilot", "plumber", "poet", "porter",
    "potter", "printer", "sailor", "singer", "smith", "soldier", "surgeon", "tailor", "teacher",
    "translator", "vet", "waiter", "weaver",
)  # fmt: skip
LANGUAGES = (
    "Albanian", "Arabic", "Armenian", "Basque", "Bengali", "Bulgarian", "Burmese", "Catalan",
    "Croatian", "Czech", "Danish", "Dutch", "English", "Estonian", "Finnish", "French",
    "Georgian", "German", "Greek", "Hausa", "Hebrew", "Hindi", "Hungarian", "Icelandic", "Igbo",
    "Irish", "Italian", "Japanese", "Korean", "Latin", "Latvian", "Malay", "Maltese", "Mongolian",
    "Nepali", "Norwegian", "Persian", "Polish", "Portuguese", "Punjabi", "Romanian", "Russian",
    "Serbian", "Spanish", "Swahili", "Tamil", "Turkish", "Urdu",
)  # fmt: skip
